// How many requests an endpoint can take that tells nothing of itself: as many as still get more
// done.
//
// Judged by the work that it finishes a second while there is more to do than it is given. The
// limit doubles as long as that brings at least kGainMin of what it could bring; then, from the
// last that brought anything, it comes down by quarters as long as no more than kLossMax of the
// best is lost, so that what only waited there waits here; there it rests. All of it is done again
// where the work that gets done changes by more than kChangeMax; and every kRestNs, or kRestMin
// measurements, a quarter more or a quarter less is tried. After each step what was under way
// before it is waited for, then as many requests are measured as the step needs to be told from
// chance. Not for endpoints that others use as well: each would outbid the other.
// Threads: as the engine. O(1) a request.
#pragma once

#include <cstdint>

#include "core/types.h"

namespace sluice {

class RateSearch {
 public:
  static constexpr uint32_t kFirst = 8, kMost = 1024;  // requests
  static constexpr double kGainMin = 0.35, kLossMax = 0.05, kChangeMax = 0.25;
  static constexpr TimeNs kRestNs = 30'000'000'000;
  static constexpr uint32_t kRestMin = 8;  // measurements

  uint32_t limit() const { return limit_; }
  // A request was answered in full; IN_FLIGHT were there, itself included.
  void finished(TimeNs now, uint64_t cost, uint32_t in_flight);
  // The endpoint takes no more than LIMIT: it rests there.
  void settle(uint32_t limit, TimeNs now);

 private:
  enum class Phase : uint8_t { kFirst, kUp, kDown, kRest };
  bool doubles() const { return phase_ == Phase::kUp && limit_ >= 2 * base_; }
  void judge(TimeNs now, double rate);
  void climb(TimeNs now, uint32_t limit);
  void descend(TimeNs now);
  void rest(TimeNs now);
  void go(Phase phase, uint32_t limit);

  Phase phase_ = Phase::kFirst;
  uint32_t limit_ = kFirst;
  uint32_t base_ = kFirst;  // where it goes back to
  double best_ = 0;         // cost a second, at base_ or above it; 0 = not known
  TimeNs rests_since_ = 0;
  bool down_next_ = false;  // of the steps that are tried from rest
  // The measurement under way: requests to let pass; then those that count, since when.
  uint32_t pass_ = kFirst, count_ = 0;
  uint64_t cost_ = 0;
  TimeNs since_ = 0;
};

}  // namespace sluice
