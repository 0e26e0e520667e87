/* abi.h: what a plugin file exports and what the host offers it.
 *
 * A plugin is a shared object with one exported datum, `sluice_plugin_v0`, that names its policies. Everything it
 * reaches is static const data, so a file can be described without calling any of its functions.
 *
 * Languages: C11, C++17, C++20; needs <stddef.h> and <stdint.h> only; 64-bit ELF targets.
 * Units: names end in their unit (_ns, _bytes, _milli); times are nanoseconds of one monotonic clock.
 * Cost: in cost units; one unit is one uncached prompt token, other weights are the host's configuration.
 * Ownership: what the host hands in dies when the call returns, except sluice_host_v1, which lives for ever. What
 *   the plugin exports lives for ever, since an image is never unloaded. Objects made by create and state_new are
 *   freed only by destroy and state_free of the same policy. No allocator crosses the boundary.
 * Threads: every function carries one word. [control] the configuration thread: may allocate, block, do I/O.
 *   [hot] the dispatch path: never two calls at once on one state; must not allocate, lock, block or do I/O.
 *   [any] host functions only: from any thread at any time.
 * Versions: while the ABI is 0.x the host loads a file only if its minor is the host's own. */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H
#include <stddef.h>
#include <stdint.h>

#define SLUICE_ABI_MAJOR 0
#define SLUICE_ABI_MINOR 1
#define SLUICE_NONE UINT32_MAX  /* no slot, no row, no column */
#define SLUICE_NEVER UINT64_MAX /* no time */

/* True if the struct that P points at, as long as its own struct_size says, reaches field F. */
#define SLUICE_HAS(P, F) \
  ((size_t)((const char *)&(P)->F - (const char *)(P)) + sizeof((P)->F) <= (P)->struct_size)

#ifdef __cplusplus
#define SLUICE_EXPORT extern "C" __attribute__((visibility("default")))
extern "C" {
#else
#define SLUICE_EXPORT __attribute__((visibility("default")))
#endif

/* ---- parameters: a static typed table; the host reads the TOML, checks it and fills in defaults ---- */

enum {
  SLUICE_BOOL = 1, /* i is 0 or 1 */
  SLUICE_INT,      /* i */
  SLUICE_FLOAT,    /* f */
  SLUICE_DURATION, /* i, in nanoseconds; written "250ms" */
  SLUICE_BYTES,    /* i; written "64KiB" */
  SLUICE_STRING,   /* s */
  SLUICE_CHOICE    /* s, one of `choices` */
};

/* Frozen. Every member is always set; s is never null. */
typedef struct sluice_value {
  int64_t i;
  double f;
  const char *s;
} sluice_value;

/* Frozen. A message that create or state_new leaves for the operator; NUL-terminated. */
typedef struct sluice_error {
  char text[256];
} sluice_error;

/* Frozen: it lives in arrays. */
typedef struct sluice_param_v1 {
  const char *name, *summary, *unit; /* unit may be "" */
  sluice_value standard, min, max;   /* standard = the default; bounds are inclusive, numbers only */
  const char *const *choices;        /* null-terminated; SLUICE_CHOICE only, else null */
  uint32_t type, flags;              /* SLUICE_BOOL...; flags = 0 */
} sluice_param_v1;

/* ---- the host ---- */

enum { SLUICE_LOG_DEBUG = 1, SLUICE_LOG_INFO, SLUICE_LOG_WARN, SLUICE_LOG_ERROR };

enum { SLUICE_REQUESTS = 1, SLUICE_ENDPOINTS }; /* the `table` of declare_* */

/* No pointer is ever null. */
typedef struct sluice_host_v1 {
  uint32_t struct_size, abi_minor;
  void *ctx; /* first argument of every function below */
  /* [any] Writes one line to the host's log. Rate-limited and lossy; TEXT need not be terminated. */
  void (*log)(void *ctx, int32_t level, const char *text, size_t n);
  /* [control] in create only. Asks for a column of TABLE filled from SOURCE; returns its index in `ints` (or
   * `floats`), or SLUICE_NONE if the host does not know such a source. Rows without the source hold ABSENT.
   * Sources: SLUICE_REQUESTS "header:NAME" and, ints only, "hash:header:NAME";
   *          SLUICE_ENDPOINTS "metric:NAME" (floats only) and "hash:label:NAME" (ints only). */
  uint32_t (*declare_int)(void *ctx, uint32_t table, const char *source, int64_t absent);
  uint32_t (*declare_float)(void *ctx, uint32_t table, const char *source, double absent); /* [control] likewise */
  /* [control] in create only. Keep a flow's slot this long after its last request, so that debts are remembered. */
  void (*retain_idle_flows)(void *ctx, uint64_t ns);
  /* [control] A later host's extra services, by id; null if there is none of that name. */
  const void *(*extension)(void *ctx, const char *id);
  /* [hot] in a hot call only. The call has failed: its answer is not used, and it counts against the policy as an
   * illegal answer does. TEXT says why and need not be terminated. */
  void (*fault)(void *ctx, const char *text, size_t n);
} sluice_host_v1;

/* What one state will see. Nothing here grows during the state's life. */
typedef struct sluice_scope {
  uint32_t struct_size;
  uint32_t flow_slots, endpoint_slots; /* slots are 0 .. n-1; 0 where the kind sees none */
  uint32_t band_rank;                  /* 0 = highest band; SLUICE_NONE for the pool */
  uint64_t now_ns, seed;
  const char *name; /* of the band, or of the pool */
} sluice_scope;

/* ---- descriptors ---- */

enum { SLUICE_MAY_IDLE = 1 };  /* sluice_policy_v1.flags: fairness pick may answer SLUICE_NONE with flows ready */
enum { SLUICE_IN_PREFIX = 1 }; /* sluice_policy_v1.inputs: cached_tokens columns are filled */

/* Frozen. */
typedef struct sluice_interface {
  const char *id;     /* "sluice.fairness/1" */
  const void *vtable; /* the struct that the id names; static */
} sluice_interface;

typedef struct sluice_policy_v1 {
  uint32_t struct_size, param_count;
  uint64_t flags, inputs; /* SLUICE_MAY_IDLE; SLUICE_IN_*. The host refuses bits that it does not know */
  uint64_t events;        /* bit (1 << SLUICE_EV_*) for each type that observe wants; others are not sent */
  const char *name;       /* what pipeline.toml says after the package; [a-z0-9-], unique in its kind */
  const char *summary;    /* one sentence */
  const sluice_interface *interfaces; /* {0,0}-terminated; the first names the kind */
  const sluice_param_v1 *params;      /* param_count of them; null if none */
  /* [control] nullable = no object. VALUES holds N = param_count entries in table order. Null = failed, text in ERR. */
  void *(*create)(const sluice_host_v1 *, const sluice_value *values, uint32_t n, sluice_error *err);
  void (*destroy)(void *policy); /* [control] nullable */
  /* [control] nullable = stateless. The policy object is shared and const from here on. Null = failed. */
  void *(*state_new)(const void *policy, const sluice_scope *, sluice_error *err);
  void (*state_free)(const void *policy, void *state); /* [control] nullable */
} sluice_policy_v1;

typedef struct sluice_entry_v1 {
  uint32_t struct_size;
  uint16_t abi_minor_built, abi_minor_needed; /* SLUICE_ABI_MINOR of the headers; the oldest that will do */
  const char *package, *version, *license;    /* "com.example.fair", "0.3.1", an SPDX id */
  const sluice_policy_v1 *const *policies;    /* null-terminated */
} sluice_entry_v1;

/* The one export. C: `const sluice_entry_v1 sluice_plugin_v0 = {...};` C++: see sluice.hpp. */
#define SLUICE_ENTRY_SYMBOL "sluice_plugin_v0"
extern __attribute__((visibility("default"))) const sluice_entry_v1 sluice_plugin_v0;

#ifdef __cplusplus
}
#endif
#endif
