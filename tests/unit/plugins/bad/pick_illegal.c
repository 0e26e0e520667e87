#define PICK(flows) ((flows)->slots + 1000)
#include "fixture.h"
