// Loops over columns of scores, compiled so that several are done at a time (core/CMakeLists.txt).
//
// Threads: any. O(n).
#pragma once

#include <span>

namespace sluice {

// Adds SCORES, clamped to 0 .. 1 and times WEIGHT, to SUMS. False if one was not a finite number;
// it counts as 0.
bool add_weighted(std::span<const float> scores, float weight, std::span<float> sums);

// The highest of SCORES, which are finite; 0 if there is none above that.
float highest(std::span<const float> scores);

}  // namespace sluice
