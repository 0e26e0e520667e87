// Quantities over time in bounded memory: as a run gets longer, its steps get wider.
//
// All quantities of one Timeline share its steps. A level (how many run) is given as it changes and
// kept as its mean over each step; an amount (tokens served) is spread over the time it took.
// Threads: one. Memory: quantities x kStepsMax. Complexity: O(1) amortised, apart from levels and
// amounts that last long.
#pragma once

#include <algorithm>
#include <vector>

#include "core/types.h"

namespace sluice::simulate {

class Timeline {
 public:
  static constexpr size_t kStepsMax = 4096;
  static constexpr TimeNs kFirstStepNs = 100'000'000;

  // Returns its number. START: when the run begins.
  explicit Timeline(TimeNs start) : start_(start) {}
  size_t add_quantity() {
    quantities_.push_back({.since = start_});
    return quantities_.size() - 1;
  }
  // The level is VALUE from now on.
  void set_level(size_t quantity, TimeNs now, double value) {
    Quantity& q = quantities_[quantity];
    if (q.level != 0 && now > q.since)
      spread(q, q.since, now, q.level * static_cast<double>(now - q.since));
    q.since = now;
    q.level = value;
  }
  double level(size_t quantity) const { return quantities_[quantity].level; }
  // AMOUNT came evenly between FROM and TO.
  void add_amount(size_t quantity, TimeNs from, TimeNs to, double amount) {
    spread(quantities_[quantity], from, to, amount);
  }

  TimeNs step_ns() const { return step_; }
  // What came in each step; for a level, its integral over the step in nanoseconds.
  const std::vector<double>& sums(size_t quantity) const { return quantities_[quantity].sums; }

 private:
  struct Quantity {
    TimeNs since = 0;
    double level = 0;
    std::vector<double> sums = {};
  };

  void spread(Quantity& q, TimeNs from, TimeNs to, double amount) {
    from = std::max(from, start_) - start_;
    to = std::max(to, start_) - start_;
    while (to / step_ >= kStepsMax) widen();
    if (to / step_ >= q.sums.size()) q.sums.resize(to / step_ + 1);
    if (from / step_ == to / step_) {
      q.sums[from / step_] += amount;
      return;
    }
    const double rate = amount / static_cast<double>(to - from);
    for (TimeNs at = from; at < to;) {
      const TimeNs end = std::min(to, (at / step_ + 1) * step_);
      q.sums[at / step_] += rate * static_cast<double>(end - at);
      at = end;
    }
  }
  void widen() {
    for (Quantity& q : quantities_) {
      for (size_t i = 0; i < q.sums.size(); ++i) {
        const double value = std::exchange(q.sums[i], 0);
        q.sums[i / 2] += value;
      }
      q.sums.resize((q.sums.size() + 1) / 2);
    }
    step_ *= 2;
  }

  TimeNs start_, step_ = kFirstStepNs;
  std::vector<Quantity> quantities_;
};

}  // namespace sluice::simulate
