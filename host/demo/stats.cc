#include "host/demo/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice::demo {

double percentile(std::span<const double> sorted, double p) {
  const auto n = static_cast<double>(sorted.size());
  // Without the small step back, 99 % of 100 could become rank 100 through rounding.
  const double rank = std::ceil(p / 100 * n - 1e-9);
  const auto index = static_cast<size_t>(std::clamp(rank, 1.0, n));
  return sorted[index - 1];
}

Summary summarise(std::vector<double> values) {
  Summary summary;
  if (values.empty()) return summary;
  std::sort(values.begin(), values.end());
  summary.count = values.size();
  summary.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  summary.p50 = percentile(values, 50);
  summary.p99 = percentile(values, 99);
  summary.max = values.back();
  return summary;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Summary median(std::span<const Summary> runs) {
  auto of = [&](auto member) {
    std::vector<double> values;
    for (const Summary& run : runs) values.push_back(static_cast<double>(run.*member));
    return median(std::move(values));
  };
  Summary summary;
  summary.count = static_cast<size_t>(of(&Summary::count));
  summary.mean = of(&Summary::mean);
  summary.p50 = of(&Summary::p50);
  summary.p99 = of(&Summary::p99);
  summary.max = of(&Summary::max);
  return summary;
}

}  // namespace sluice::demo
