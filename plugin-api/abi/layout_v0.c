/* layout_v0.c: where every published field of ABI 0.1 lies, on 64-bit ELF.
 *
 * Compiled as C11, C++17 and C++20, with -Wpadded as an error. While the ABI is 0.x a change here goes with a new
 * SLUICE_ABI_MINOR; from 1.0 on lines are only ever added. */
#include <sluice/sluice.h>

#ifdef __cplusplus
#define SLUICE_ASSERT_LAYOUT(CONDITION, TEXT) static_assert(CONDITION, TEXT)
#else
#define SLUICE_ASSERT_LAYOUT(CONDITION, TEXT) _Static_assert(CONDITION, TEXT)
#endif
#define SIZE(TYPE, BYTES) SLUICE_ASSERT_LAYOUT(sizeof(TYPE) == (BYTES), "sizeof " #TYPE)
#define AT(TYPE, FIELD, BYTES) \
  SLUICE_ASSERT_LAYOUT(offsetof(TYPE, FIELD) == (BYTES), #TYPE "." #FIELD)

SLUICE_ASSERT_LAYOUT(sizeof(void*) == 8, "64-bit only");
SLUICE_ASSERT_LAYOUT(SLUICE_ABI_MAJOR == 0 && SLUICE_ABI_MINOR == 1, "this file is about 0.1");

SIZE(sluice_value, 24);
AT(sluice_value, i, 0);
AT(sluice_value, f, 8);
AT(sluice_value, s, 16);

SIZE(sluice_error, 256);
AT(sluice_error, text, 0);

SIZE(sluice_param_v1, 112);
AT(sluice_param_v1, name, 0);
AT(sluice_param_v1, summary, 8);
AT(sluice_param_v1, unit, 16);
AT(sluice_param_v1, standard, 24);
AT(sluice_param_v1, min, 48);
AT(sluice_param_v1, max, 72);
AT(sluice_param_v1, choices, 96);
AT(sluice_param_v1, type, 104);
AT(sluice_param_v1, flags, 108);

SIZE(sluice_host_v1, 64);
AT(sluice_host_v1, struct_size, 0);
AT(sluice_host_v1, abi_minor, 4);
AT(sluice_host_v1, ctx, 8);
AT(sluice_host_v1, log, 16);
AT(sluice_host_v1, declare_int, 24);
AT(sluice_host_v1, declare_float, 32);
AT(sluice_host_v1, retain_idle_flows, 40);
AT(sluice_host_v1, extension, 48);
AT(sluice_host_v1, fault, 56);

SIZE(sluice_scope, 40);
AT(sluice_scope, struct_size, 0);
AT(sluice_scope, flow_slots, 4);
AT(sluice_scope, endpoint_slots, 8);
AT(sluice_scope, band_rank, 12);
AT(sluice_scope, now_ns, 16);
AT(sluice_scope, seed, 24);
AT(sluice_scope, name, 32);

SIZE(sluice_interface, 16);
AT(sluice_interface, id, 0);
AT(sluice_interface, vtable, 8);

SIZE(sluice_policy_v1, 96);
AT(sluice_policy_v1, struct_size, 0);
AT(sluice_policy_v1, param_count, 4);
AT(sluice_policy_v1, flags, 8);
AT(sluice_policy_v1, inputs, 16);
AT(sluice_policy_v1, events, 24);
AT(sluice_policy_v1, name, 32);
AT(sluice_policy_v1, summary, 40);
AT(sluice_policy_v1, interfaces, 48);
AT(sluice_policy_v1, params, 56);
AT(sluice_policy_v1, create, 64);
AT(sluice_policy_v1, destroy, 72);
AT(sluice_policy_v1, state_new, 80);
AT(sluice_policy_v1, state_free, 88);

SIZE(sluice_entry_v1, 40);
AT(sluice_entry_v1, struct_size, 0);
AT(sluice_entry_v1, abi_minor_built, 4);
AT(sluice_entry_v1, abi_minor_needed, 6);
AT(sluice_entry_v1, package, 8);
AT(sluice_entry_v1, version, 16);
AT(sluice_entry_v1, license, 24);
AT(sluice_entry_v1, policies, 32);

SIZE(sluice_event, 64);
AT(sluice_event, type, 0);
AT(sluice_event, slot, 4);
AT(sluice_event, time_ns, 8);
AT(sluice_event, seq, 16);
AT(sluice_event, change, 24);
AT(sluice_event, prompt_tokens, 32);
AT(sluice_event, cached_tokens, 36);
AT(sluice_event, output_expected, 40);
AT(sluice_event, output_tokens, 44);
AT(sluice_event, output_before, 48);
AT(sluice_event, endpoint, 52);
AT(sluice_event, outcome, 56);
AT(sluice_event, flags, 58);
AT(sluice_event, band_rank, 60);

SIZE(sluice_events, 16);
AT(sluice_events, struct_size, 0);
AT(sluice_events, count, 4);
AT(sluice_events, row, 8);

SIZE(sluice_band, 48);
AT(sluice_band, struct_size, 0);
AT(sluice_band, rank, 4);
AT(sluice_band, parked, 8);
AT(sluice_band, inflight, 12);
AT(sluice_band, now_ns, 16);
AT(sluice_band, parked_cost, 24);
AT(sluice_band, parked_bytes, 32);
AT(sluice_band, cost_per_second, 40);

SIZE(sluice_requests, 128);
AT(sluice_requests, struct_size, 0);
AT(sluice_requests, count, 4);
AT(sluice_requests, seq, 8);
AT(sluice_requests, arrival_ns, 16);
AT(sluice_requests, deadline_ns, 24);
AT(sluice_requests, cost, 32);
AT(sluice_requests, bytes, 40);
AT(sluice_requests, flow_hash, 48);
AT(sluice_requests, model_hash, 56);
AT(sluice_requests, flow, 64);
AT(sluice_requests, prompt_tokens, 72);
AT(sluice_requests, output_expected, 80);
AT(sluice_requests, output_max, 88);
AT(sluice_requests, cached_tokens, 96);
AT(sluice_requests, priority, 104);
AT(sluice_requests, ints, 112);
AT(sluice_requests, floats, 120);

SIZE(sluice_flows, 136);
AT(sluice_flows, struct_size, 0);
AT(sluice_flows, slots, 4);
AT(sluice_flows, ready_count, 8);
AT(sluice_flows, waiting_count, 12);
AT(sluice_flows, now_ns, 16);
AT(sluice_flows, ready_bits, 24);
AT(sluice_flows, status, 32);
AT(sluice_flows, weight_milli, 40);
AT(sluice_flows, parked, 48);
AT(sluice_flows, inflight, 56);
AT(sluice_flows, parked_cost, 64);
AT(sluice_flows, parked_bytes, 72);
AT(sluice_flows, inflight_cost, 80);
AT(sluice_flows, served_cost, 88);
AT(sluice_flows, hash, 96);
AT(sluice_flows, head_key, 104);
AT(sluice_flows, head_seq, 112);
AT(sluice_flows, head_arrival_ns, 120);
AT(sluice_flows, head_cost, 128);

SIZE(sluice_ordering_v1, 16);
AT(sluice_ordering_v1, observe, 0);
AT(sluice_ordering_v1, keys, 8);

SIZE(sluice_fairness_v1, 16);
AT(sluice_fairness_v1, observe, 0);
AT(sluice_fairness_v1, pick, 8);

SIZE(sluice_need, 40);
AT(sluice_need, struct_size, 0);
AT(sluice_need, reason, 4);
AT(sluice_need, requests, 8);
AT(sluice_need, newcomer_rank, 12);
AT(sluice_need, bytes, 16);
AT(sluice_need, newcomer_slot, 24);
AT(sluice_need, reserved, 28);
AT(sluice_need, newcomer, 32);

SIZE(sluice_eviction_v1, 24);
AT(sluice_eviction_v1, observe, 0);
AT(sluice_eviction_v1, pick, 8);
AT(sluice_eviction_v1, keys, 16);

SIZE(sluice_endpoints, 96);
AT(sluice_endpoints, struct_size, 0);
AT(sluice_endpoints, count, 4);
AT(sluice_endpoints, slot, 8);
AT(sluice_endpoints, inflight, 16);
AT(sluice_endpoints, limit, 24);
AT(sluice_endpoints, waiting, 32);
AT(sluice_endpoints, running, 40);
AT(sluice_endpoints, inflight_cost, 48);
AT(sluice_endpoints, kv_tokens_max, 56);
AT(sluice_endpoints, metrics_age_ns, 64);
AT(sluice_endpoints, kv_used, 72);
AT(sluice_endpoints, ints, 80);
AT(sluice_endpoints, floats, 88);

SIZE(sluice_pairs, 24);
AT(sluice_pairs, struct_size, 0);
AT(sluice_pairs, count, 4);
AT(sluice_pairs, endpoint, 8);
AT(sluice_pairs, cached_tokens, 16);

SIZE(sluice_scoring_v1, 16);
AT(sluice_scoring_v1, observe, 0);
AT(sluice_scoring_v1, score, 8);

/* Numbers that are stored in files and messages. */
#define IS(NAME, NUMBER) SLUICE_ASSERT_LAYOUT((NAME) == (NUMBER), #NAME)
IS(SLUICE_BOOL, 1);
IS(SLUICE_INT, 2);
IS(SLUICE_FLOAT, 3);
IS(SLUICE_DURATION, 4);
IS(SLUICE_BYTES, 5);
IS(SLUICE_STRING, 6);
IS(SLUICE_CHOICE, 7);
IS(SLUICE_LOG_DEBUG, 1);
IS(SLUICE_LOG_INFO, 2);
IS(SLUICE_LOG_WARN, 3);
IS(SLUICE_LOG_ERROR, 4);
IS(SLUICE_REQUESTS, 1);
IS(SLUICE_ENDPOINTS, 2);
IS(SLUICE_MAY_IDLE, 1);
IS(SLUICE_IN_PREFIX, 1);
IS(SLUICE_EV_FLOW_ADDED, 1);
IS(SLUICE_EV_FLOW_REMOVED, 2);
IS(SLUICE_EV_FLOW_CHANGED, 3);
IS(SLUICE_EV_WAITING, 4);
IS(SLUICE_EV_IDLE, 5);
IS(SLUICE_EV_BLOCKED, 6);
IS(SLUICE_EV_UNBLOCKED, 7);
IS(SLUICE_EV_HEAD, 8);
IS(SLUICE_EV_DISPATCHED, 9);
IS(SLUICE_EV_PROGRESSED, 10);
IS(SLUICE_EV_COMPLETED, 11);
IS(SLUICE_EV_SHED, 12);
IS(SLUICE_OUT_COMPLETED, 1);
IS(SLUICE_OUT_UPSTREAM_ERROR, 2);
IS(SLUICE_OUT_CLIENT_GONE, 3);
IS(SLUICE_OUT_REVOKED, 4);
IS(SLUICE_OUT_CANCELLED, 5);
IS(SLUICE_OUT_EXPIRED, 6);
IS(SLUICE_OUT_EVICTED, 7);
IS(SLUICE_OUT_DRAINED, 8);
IS(SLUICE_OUT_REQUEUED, 9);
IS(SLUICE_EVF_INHERITED, 1);
IS(SLUICE_FLOW_FREE, 0);
IS(SLUICE_FLOW_IDLE, 1);
IS(SLUICE_FLOW_BLOCKED, 2);
IS(SLUICE_FLOW_READY, 3);
IS(SLUICE_NEED_REQUESTS, 1);
IS(SLUICE_NEED_BYTES, 2);
