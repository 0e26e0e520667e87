/* fairness_least_busy: the flow with the fewest requests in flight for its weight goes next; ties by arrival.
 *
 * A complete Sluice plugin in C11, to be copied and changed. It keeps no state, so it needs neither create nor
 * observe. In pipeline.toml: fairness = { use = "com.example.least-busy/least-busy" }. */
#include <sluice/sluice.h>

static int goes_before(const sluice_flows *flows, uint32_t a, uint32_t b) {
  const uint64_t load_a = (uint64_t)flows->inflight[a] * flows->weight_milli[b];
  const uint64_t load_b = (uint64_t)flows->inflight[b] * flows->weight_milli[a];
  return load_a != load_b ? load_a < load_b : flows->head_seq[a] < flows->head_seq[b];
}

static uint32_t pick(const void *policy, void *state, const sluice_flows *flows, uint64_t *retry_ns) {
  uint32_t slot, best = SLUICE_NONE;
  (void)policy, (void)state, (void)retry_ns;
  for (slot = sluice_next_ready(flows, 0); slot != SLUICE_NONE; slot = sluice_next_ready(flows, slot + 1))
    if (best == SLUICE_NONE || goes_before(flows, slot, best)) best = slot;
  return best;
}

static const sluice_fairness_v1 vtable = {.pick = pick};
static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {0, 0}};
static const sluice_policy_v1 least_busy = {
    .struct_size = sizeof(sluice_policy_v1),
    .name = "least-busy",
    .summary = "The flow with the fewest requests in flight for its weight.",
    .interfaces = interfaces,
};
static const sluice_policy_v1 *const policies[] = {&least_busy, 0};

const sluice_entry_v1 sluice_plugin_v0 = {
    .struct_size = sizeof(sluice_entry_v1),
    .abi_minor_built = SLUICE_ABI_MINOR,
    .abi_minor_needed = SLUICE_ABI_MINOR,
    .package = "com.example.least-busy",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .policies = policies,
};
