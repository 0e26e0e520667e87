/* Changes its mind though nothing has happened. */
#include <stdint.h>
static uint32_t calls;
#define PICK(flows) ((void)(flows), calls++ % 2 == 0 ? 0u : 2u)
#include "fixture.h"
