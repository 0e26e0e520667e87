/* As a plugin would that asserts what it believes. */
#include <stdlib.h>
#define PICK(flows) ((flows)->slots == 3 ? (abort(), 0u) : 0u)
#include "fixture.h"
