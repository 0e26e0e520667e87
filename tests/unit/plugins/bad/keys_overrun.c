/* Writes one key more than there are rows. */
#include <sluice/sluice.h>
static void keys(const void* policy, void* state, const sluice_requests* requests,
                 const sluice_band* band, uint64_t* out) {
  (void)policy, (void)state, (void)band;
  for (uint32_t i = 0; i <= requests->count; ++i) out[i] = 7;
}
static const sluice_ordering_v1 ordering = {0, keys};
#define NAME "overrun"
#define INTERFACES \
  { SLUICE_ORDERING_ID, &ordering }
#include "fixture.h"
