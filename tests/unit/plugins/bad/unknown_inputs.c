#define INPUTS (1u << 20)
#include "fixture.h"
