#include <sluice/sluice.h>
static void score(const void* policy, void* state, const sluice_requests* requests,
                  const sluice_endpoints* endpoints, const sluice_pairs* pairs, float* out) {
  (void)policy, (void)state, (void)requests, (void)endpoints;
  for (uint32_t i = 0; i < pairs->count; ++i) out[i] = __builtin_nanf("");
}
static const sluice_scoring_v1 scoring = {0, score};
#define NAME "nan"
#define INTERFACES \
  { SLUICE_SCORING_ID, &scoring }
#include "fixture.h"
