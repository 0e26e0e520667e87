/* Idles without having said that it may. */
#define PICK(flows) ((void)(flows), SLUICE_NONE)
#include "fixture.h"
