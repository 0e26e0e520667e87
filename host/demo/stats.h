// Percentiles and medians of measured durations.
//
// A percentile is the nearest rank: the smallest value that at least p percent of the values do not
// exceed. Nothing is interpolated, so every figure shown has been measured. Units: milliseconds.
// Complexity: O(n log n) once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sluice::demo {

struct Summary {
  size_t count = 0;
  double mean = 0, p50 = 0, p99 = 0, max = 0;  // 0 when there is nothing to summarise
};

// SORTED ascending and not empty; 0 < P <= 100.
double percentile(std::span<const double> sorted, double p);
Summary summarise(std::vector<double> values);

// The middle value; of an even number the mean of the two in the middle. 0 for none.
double median(std::vector<double> values);
// The medians of each figure on its own.
Summary median(std::span<const Summary> runs);

}  // namespace sluice::demo
