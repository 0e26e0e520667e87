/* last_flow: the flow whose head came last goes next. Unfair on purpose, so that a test sees it at work. */
#include <sluice/sluice.h>

static uint32_t pick(const void *policy, void *state, const sluice_flows *flows, uint64_t *retry_ns) {
  uint32_t slot, best = SLUICE_NONE;
  (void)policy, (void)state, (void)retry_ns;
  for (slot = sluice_next_ready(flows, 0); slot != SLUICE_NONE; slot = sluice_next_ready(flows, slot + 1))
    if (best == SLUICE_NONE || flows->head_seq[slot] > flows->head_seq[best]) best = slot;
  return best;
}

static const sluice_fairness_v1 vtable = {.pick = pick};
static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {0, 0}};
static const sluice_policy_v1 last_flow = {
    .struct_size = sizeof(sluice_policy_v1),
    .name = "last-flow",
    .summary = "The flow whose head came last.",
    .interfaces = interfaces,
};
static const sluice_policy_v1 *const policies[] = {&last_flow, 0};

const sluice_entry_v1 sluice_plugin_v0 = {
    .struct_size = sizeof(sluice_entry_v1),
    .abi_minor_built = SLUICE_ABI_MINOR,
    .abi_minor_needed = SLUICE_ABI_MINOR,
    .package = "test.last-flow",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .policies = policies,
};
