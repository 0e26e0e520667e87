#include "core/columns.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sluice {

// This file is compiled for finite numbers, so which are is asked of their bits.
bool add_weighted(std::span<const float> scores, float weight, std::span<float> sums) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(scores[i]);
    const bool finite = (bits & kExponent) != kExponent;
    bad += !finite;
    const float score = std::bit_cast<float>(finite ? bits : 0);
    sums[i] += weight * std::min(std::max(score, 0.0F), 1.0F);
  }
  return bad == 0;
}

float highest(std::span<const float> scores) {
  float top = 0;
  for (const float score : scores) top = std::max(top, score);
  return top;
}

}  // namespace sluice
