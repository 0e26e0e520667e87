// A C++ plugin without the wrapper, whose exception reaches the host.
#include <sluice/sluice.h>

#include <stdexcept>

static void* create(const sluice_host_v1*, const sluice_value*, uint32_t, sluice_error*) {
  throw std::runtime_error("out of cheese");
}
#define CREATE create
#include "fixture.h"
