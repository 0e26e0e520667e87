/* event.h: facts that policies are told, in the order in which they happened.
 *
 * A pick is a question; DISPATCHED is the fact. Policies change their state in observe only, so that a pick can be
 * asked twice, or of a shadow, without harm.
 * What happens to a request comes before what it means for its flow: DISPATCHED before the IDLE or HEAD that follows
 * from it, COMPLETED (requeued) before WAITING or HEAD. The tables beside the events are as of the call, so they may
 * be ahead of an event whose successors are still to come. */
#ifndef SLUICE_EVENT_H
#define SLUICE_EVENT_H
#include <sluice/abi.h>
#ifdef __cplusplus
extern "C" {
#endif

enum {
  SLUICE_EV_FLOW_ADDED = 1, /* slot taken into use: forget anything known about it */
  SLUICE_EV_FLOW_REMOVED,   /* slot given back; nothing of it is parked, in flight or unheard */
  SLUICE_EV_FLOW_CHANGED,   /* weight */
  SLUICE_EV_WAITING,        /* idle -> ready: first request parked */
  SLUICE_EV_IDLE,           /* ready or blocked -> idle: last parked request left */
  SLUICE_EV_BLOCKED,        /* ready -> blocked: the head has no room anywhere */
  SLUICE_EV_UNBLOCKED,      /* blocked -> ready */
  SLUICE_EV_HEAD,           /* the flow has another head */
  SLUICE_EV_DISPATCHED,     /* change = the estimated cost */
  SLUICE_EV_PROGRESSED,     /* output beyond the estimate; change = the growth */
  SLUICE_EV_COMPLETED,      /* left the endpoint; change = true cost less all that was charged. With outcome
                               SLUICE_OUT_REQUEUED it is parked again and all that was charged is returned */
  SLUICE_EV_SHED            /* a parked request left without dispatch; change = 0, outcome says how */
};

enum {
  SLUICE_OUT_COMPLETED = 1,
  SLUICE_OUT_UPSTREAM_ERROR,
  SLUICE_OUT_CLIENT_GONE,
  SLUICE_OUT_REVOKED,
  SLUICE_OUT_CANCELLED,
  SLUICE_OUT_EXPIRED,
  SLUICE_OUT_EVICTED,
  SLUICE_OUT_DRAINED,
  SLUICE_OUT_REQUEUED
};

enum { SLUICE_EVF_INHERITED = 1 }; /* dispatched before this state existed: it was never charged here */

/* Frozen at 64 bytes. Unknown types are to be ignored. */
typedef struct sluice_event {
  uint32_t type, slot; /* slot of the flow in the band of band_rank */
  uint64_t time_ns, seq;
  int64_t change; /* cost units the flow owes more (or, negative, less) since this request's previous event */
  uint32_t prompt_tokens, cached_tokens, output_expected;
  uint32_t output_tokens, output_before; /* so far; and at this request's previous event */
  uint32_t endpoint;                     /* slot, or SLUICE_NONE */
  uint16_t outcome, flags;               /* SLUICE_OUT_*; SLUICE_EVF_* */
  uint32_t band_rank;
} sluice_event;

typedef struct sluice_events {
  uint32_t struct_size, count;
  const sluice_event *row;
} sluice_events;

#ifdef __cplusplus
}
#endif
#endif
