/* tables.h: the columns that policies read: requests, flows, bands.
 *
 * A table is a struct of columns; column[i] is row i. All memory is the host's and valid until the call returns.
 * Tables grow only at their tail: before reading a field that your headers' first version did not have, ask
 * SLUICE_HAS. A column that `inputs` did not ask for may be null. */
#ifndef SLUICE_TABLES_H
#define SLUICE_TABLES_H
#include <sluice/abi.h>
#ifdef __cplusplus
extern "C" {
#endif

/* One band, as of this call. */
typedef struct sluice_band {
  uint32_t struct_size, rank; /* rank 0 = highest */
  uint32_t parked, inflight;  /* requests */
  uint64_t now_ns;
  uint64_t parked_cost, parked_bytes;
  uint64_t cost_per_second; /* recent rate of service; 0 = unknown */
} sluice_band;

typedef struct sluice_requests {
  uint32_t struct_size, count;
  const uint64_t *seq; /* arrival sequence: unique and rising; the request's id, and the tie-break everywhere */
  const uint64_t *arrival_ns;
  const uint64_t *deadline_ns; /* arrival + its TTL, or what its header says if sooner; the same whether or
                                * not the pool has endpoints just now; SLUICE_NEVER = none */
  const uint64_t *cost;        /* estimate for prompt and output */
  const uint64_t *bytes;       /* of the body */
  const uint64_t *flow_hash, *model_hash;
  const uint32_t *flow; /* slot in its band */
  const uint32_t *prompt_tokens, *output_expected, *output_max; /* estimates, of all choices; output_max 0 = not given */
  const uint32_t *cached_tokens; /* SLUICE_IN_PREFIX: best over the endpoints that it may use; else null */
  const int32_t *priority;       /* of its band */
  const int64_t *const *ints;    /* ints[k][i]: declared column k, row i */
  const double *const *floats;
} sluice_requests;

/* A waiting flow is READY until the host finds that its head has room nowhere; then it is BLOCKED until it may have. */
enum { SLUICE_FLOW_FREE = 0, SLUICE_FLOW_IDLE = 1, SLUICE_FLOW_BLOCKED = 2, SLUICE_FLOW_READY = 3 };

/* The flows of one band, by slot. A slot is not reused while anything of its flow is parked, in flight or unheard. */
typedef struct sluice_flows {
  uint32_t struct_size, slots; /* length of every column; slots <= sluice_scope.flow_slots */
  uint32_t ready_count, waiting_count; /* waiting = ready + blocked */
  uint64_t now_ns;
  const uint64_t *ready_bits; /* bit set = READY, a legal pick; (slots + 63) / 64 words */
  const uint8_t *status;      /* SLUICE_FLOW_* */
  const uint32_t *weight_milli; /* 1 .. 1000000, never 0 */
  const uint32_t *parked, *inflight; /* requests */
  const uint64_t *parked_cost, *parked_bytes, *inflight_cost, *served_cost, *hash;
  const uint64_t *head_key, *head_seq, *head_arrival_ns, *head_cost; /* of the flow's next request; if waiting */
} sluice_flows;

#ifdef __cplusplus
}
#endif
#endif
