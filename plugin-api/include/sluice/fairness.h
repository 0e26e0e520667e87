/* fairness.h: which flow of a band dispatches next. "sluice.fairness/1" */
#ifndef SLUICE_FAIRNESS_H
#define SLUICE_FAIRNESS_H
#include <sluice/event.h>
#include <sluice/tables.h>
#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_FAIRNESS_ID "sluice.fairness/1"

/* One state a band. */
typedef struct sluice_fairness_v1 {
  /* [hot] nullable. Facts since the last call; always comes before the pick that depends on them. */
  void (*observe)(const void *policy, void *state, const sluice_flows *, const sluice_events *);
  /* [hot] A slot whose ready bit is set. Two picks with nothing observed between them give the same slot. The host may
   * find that the flow's head has no room; it then says BLOCKED and asks again. Ties go by head_seq, never by slot.
   * SLUICE_NONE only if the policy has SLUICE_MAY_IDLE; *RETRY_NS then says when to ask again (it holds SLUICE_NEVER).
   * An illegal answer is counted and the host's own round robin answers instead. */
  uint32_t (*pick)(const void *policy, void *state, const sluice_flows *, uint64_t *retry_ns);
} sluice_fairness_v1;

#ifdef __cplusplus
}
#endif
#endif
