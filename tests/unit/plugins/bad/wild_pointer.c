/* Tables that cannot be read. */
#define POLICIES ((const sluice_policy_v1* const*)16)
#include "fixture.h"
