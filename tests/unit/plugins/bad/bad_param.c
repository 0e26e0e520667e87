/* A default outside its own bounds. */
#include <sluice/sluice.h>
static const sluice_param_v1 params[] = {
    {"size", "How big.", "", {9, 0, 0}, {1, 0, 0}, {5, 0, 0}, 0, SLUICE_INT, 0}};
#define PARAMS params
#define PARAM_COUNT 1
#include "fixture.h"
