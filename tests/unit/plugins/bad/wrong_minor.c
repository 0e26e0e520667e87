#define MINOR (SLUICE_ABI_MINOR + 6)
#include "fixture.h"
