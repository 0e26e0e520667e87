// Throws something that is no std::exception.
#include <sluice/sluice.h>

static void* state_new(const void*, const sluice_scope*, sluice_error*) { throw 42; }
#define STATE_NEW state_new
#include "fixture.h"
