/* ordering.h: which request of a flow goes first. "sluice.ordering/1" */
#ifndef SLUICE_ORDERING_H
#define SLUICE_ORDERING_H
#include <sluice/event.h>
#include <sluice/tables.h>
#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_ORDERING_ID "sluice.ordering/1"

/* One state a band. The host keeps a heap of the keys and never calls out from it, so a key is asked for once, when a
 * request is parked: a rule that ages with time states a key that has the age in it (arrival minus a bonus). */
typedef struct sluice_ordering_v1 {
  /* [hot] nullable. Facts since the last call; comes before the keys that depend on them. */
  void (*observe)(const void *policy, void *state, const sluice_events *);
  /* [hot] Writes a key for each row; the smallest goes first, ties by seq. OUT holds each row's seq already. The answer
   * for a row must not depend on the other rows of the batch. */
  void (*keys)(const void *policy, void *state, const sluice_requests *, const sluice_band *, uint64_t *out);
} sluice_ordering_v1;

#ifdef __cplusplus
}
#endif
#endif
