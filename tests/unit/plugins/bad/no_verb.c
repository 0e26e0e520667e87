/* A fairness policy without a pick. */
#include <sluice/sluice.h>
static const sluice_fairness_v1 nothing;
#define INTERFACES \
  { SLUICE_FAIRNESS_ID, &nothing }
#include "fixture.h"
