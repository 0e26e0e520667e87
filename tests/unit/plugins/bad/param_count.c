/* Counts parameters that are not there. */
#define PARAMS 0
#define PARAM_COUNT 3
#include "fixture.h"
