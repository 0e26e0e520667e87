/* eviction.h: who leaves a full queue. "sluice.eviction/1"
 *
 * Dispatch in reverse. When a newcomer meets a limit, the eviction policy of the newcomer's band is asked about each
 * band that may give way, lowest first up to its own: which flow loses, then which of its requests. If the answers do
 * not free enough, nobody is evicted and the newcomer is refused. */
#ifndef SLUICE_EVICTION_H
#define SLUICE_EVICTION_H
#include <sluice/event.h>
#include <sluice/tables.h>
#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_EVICTION_ID "sluice.eviction/1"

enum { /* sluice_need.reason: the limit that was met */
  SLUICE_NEED_REQUESTS = 1,
  SLUICE_NEED_BYTES
};

/* What must be freed. */
typedef struct sluice_need {
  uint32_t struct_size, reason;
  uint32_t requests, newcomer_rank; /* newcomer_rank: the band of the newcomer */
  uint64_t bytes;
  uint32_t newcomer_slot; /* its flow; a slot of the band newcomer_rank */
  uint32_t reserved;      /* 0 */
  const sluice_requests *newcomer; /* one row */
} sluice_need;

/* One state for each band that may give way. */
typedef struct sluice_eviction_v1 {
  /* [hot] nullable. Facts of the state's band. */
  void (*observe)(const void *policy, void *state, const sluice_flows *, const sluice_events *);
  /* [hot] The flow of BAND that loses a request: a slot with parked requests, or SLUICE_NONE: nobody in this band.
   * PARKED and PARKED_BYTES leave out what was already chosen for this newcomer. Rows with parked == 0 are illegal. */
  uint32_t (*pick)(const void *policy, void *state, const sluice_flows *, const sluice_band *, const sluice_need *);
  /* [hot] nullable = the newest. Rows are parked requests of the picked flow, newest first, at most 256; the largest
   * key leaves, ties by the newest. OUT holds each row's seq already. */
  void (*keys)(const void *policy, void *state, const sluice_requests *, const sluice_band *, uint64_t *out);
} sluice_eviction_v1;

#ifdef __cplusplus
}
#endif
#endif
