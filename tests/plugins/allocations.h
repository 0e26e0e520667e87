// Counts what this program allocates, the plugins it has loaded included: they all use its operator
// new and malloc.
#pragma once

#include <cstdint>

namespace sluice::testing {

uint64_t allocations();      // of this thread, since it began
int64_t live_allocations();  // by operator new in all threads: made less freed

}  // namespace sluice::testing
