/* Slot 1 exists, but it is blocked. */
#define PICK(flows) ((void)(flows), 1u)
#include "fixture.h"
