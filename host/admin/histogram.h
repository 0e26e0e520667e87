// A histogram with buckets fixed when it is made. One thread at a time. O(buckets) to observe, no
// allocation.
#pragma once

#include <prometheus/client_metric.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice::metrics {

inline constexpr std::array kWaitBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                           0.5,   1.0,    2.5,   5.0,  10.0,  30.0, 60.0};
inline constexpr std::array kDurationBounds = {0.01, 0.025, 0.05, 0.1,  0.25,  0.5,   1.0,  2.5,
                                               5.0,  10.0,  30.0, 60.0, 120.0, 300.0, 600.0};

template <const auto& kBounds>
class Histogram {
 public:
  void observe(double value) {
    const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), value);
    counts_[static_cast<size_t>(bound - kBounds.begin())]++;
    sum_ += value;
  }

  prometheus::ClientMetric::Histogram value() const {
    prometheus::ClientMetric::Histogram out;
    uint64_t below = 0;
    for (size_t i = 0; i < kBounds.size(); i++) {
      below += counts_[i];
      out.bucket.push_back({below, kBounds[i]});
    }
    out.sample_count = below + counts_.back();
    out.sample_sum = sum_;
    return out;  // the serializer adds the bucket +Inf
  }

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

}  // namespace sluice::metrics
