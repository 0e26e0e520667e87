// From scores to one endpoint.
//
// Deterministic: ties go to the endpoint with fewer requests in flight, then by a hash of the
// request's sequence, so that equal endpoints share equally and the same input gives the same
// output.
#pragma once

#include <cstdint>
#include <span>

#include "core/pipeline.h"

namespace sluice {

struct Candidates {
  std::span<const uint32_t> slots;
  std::span<const float> scores;        // of each of them; finite, >= 0
  std::span<const uint32_t> in_flight;  // by slot
};

// SplitMix64: small, seedable, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }
  uint64_t below(uint64_t n) { return next() % n; }  // n is small: the bias does not matter here
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

 private:
  uint64_t state_;
};

// The index of the chosen candidate; there is at least one.
//   max-score: the best. weighted-random: with probability in proportion to the score, evenly if
//   all are 0. power-of-two: the better one of two drawn at random.
uint32_t pick_endpoint(PickerKind kind, const Candidates& candidates, uint64_t seq, Random& random);

}  // namespace sluice
