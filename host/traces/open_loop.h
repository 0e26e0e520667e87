// When a load sends that does not wait for answers.
//
// Arrivals are those of a process of rate 1 whose clock runs at the load's rate; the clock of an
// on-off load stands still while it is off. So a ramp changes the speed of any kind alike, and the
// n-th draw stays the n-th draw. Threads: one. Complexity: O(1) an arrival.
#pragma once

#include "core/picker.h"
#include "host/traces/loads.h"

namespace sluice::traces {

class OpenLoop {
 public:
  OpenLoop(const Load& load, uint64_t seed);

  TimeNs next_at() const { return next_; }  // kNever = it is over
  void advance();

 private:
  double gap();
  double seconds_at(double work) const;  // since `from`; when WORK requests are due

  LoadKind kind_;
  TimeNs from_, to_;
  double rate_, slope_;  // requests a second, and how that changes in a second of its clock
  double cv_, on_s_, off_s_;
  double work_max_;  // requests that are due when it ends
  Random random_;
  uint64_t sent_ = 0;  // and the next one
  double work_ = 0;
  TimeNs next_ = 0;
};

}  // namespace sluice::traces
