/* scoring.h: which endpoint is best for a request. "sluice.scoring/1" */
#ifndef SLUICE_SCORING_H
#define SLUICE_SCORING_H
#include <sluice/event.h>
#include <sluice/tables.h>
#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_SCORING_ID "sluice.scoring/1"

/* Every endpoint of the pool that is up. Scraped columns are as old as metrics_age_ns says; inflight and
 * inflight_cost are counted by the host and exact. */
typedef struct sluice_endpoints {
  uint32_t struct_size, count;
  const uint32_t *slot;            /* stable for the endpoint's life */
  const uint32_t *inflight, *limit; /* requests that this host has there; and may have (SLUICE_NONE = no limit) */
  const uint32_t *waiting, *running; /* scraped: the engine's own queue; and its batch */
  const uint64_t *inflight_cost;
  const uint64_t *kv_tokens_max;  /* 0 = unknown */
  const uint64_t *metrics_age_ns; /* SLUICE_NEVER = no fresh scrape: waiting, running and kv_used are then 0 */
  const float *kv_used;           /* 0 .. 1 */
  const int64_t *const *ints;     /* ints[k][i]: declared column k, row i */
  const double *const *floats;
} sluice_endpoints;

/* Pair i is the request with endpoint row endpoint[i]; only endpoints that it may use now and that have room. */
typedef struct sluice_pairs {
  uint32_t struct_size, count;
  const uint32_t *endpoint;
  const uint32_t *cached_tokens; /* SLUICE_IN_PREFIX: prompt tokens that the endpoint likely holds; else null */
} sluice_pairs;

/* One state for the pool. */
typedef struct sluice_scoring_v1 {
  /* [hot] nullable. Facts of all bands. */
  void (*observe)(const void *policy, void *state, const sluice_endpoints *, const sluice_events *);
  /* [hot] One request (one row). Writes out[0 .. pairs.count-1] in [0, 1]; OUT holds 0. What is not finite counts as 0
   * and as a fault, what is outside is clamped. */
  void (*score)(const void *policy, void *state, const sluice_requests *, const sluice_endpoints *,
                const sluice_pairs *, float *out);
} sluice_scoring_v1;

#ifdef __cplusplus
}
#endif
#endif
