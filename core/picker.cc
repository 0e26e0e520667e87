#include "core/picker.h"

#include <algorithm>

namespace sluice {
namespace {

bool better(const Candidate& a, const Candidate& b, uint64_t seq) {
  if (a.score != b.score) return a.score > b.score;
  if (a.in_flight != b.in_flight) return a.in_flight < b.in_flight;
  const uint64_t ha = Random::mix(seq * 0x9e3779b97f4a7c15 + a.slot);
  const uint64_t hb = Random::mix(seq * 0x9e3779b97f4a7c15 + b.slot);
  return ha != hb ? ha < hb : a.slot < b.slot;
}

uint32_t weighted(std::span<const Candidate> candidates, Random& random) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.score;
  if (sum <= 0) return static_cast<uint32_t>(random.below(candidates.size()));
  double mark = random.unit() * sum;
  uint32_t last = 0;
  for (uint32_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].score <= 0) continue;
    last = i;
    mark -= candidates[i].score;
    if (mark < 0) break;
  }
  return last;
}

}  // namespace

uint32_t pick_endpoint(PickerKind kind, std::span<const Candidate> candidates, uint64_t seq,
                       Random& random) {
  const uint32_t n = static_cast<uint32_t>(candidates.size());
  if (kind == PickerKind::kWeightedRandom) return weighted(candidates, random);
  if (kind == PickerKind::kPowerOfTwo && n > 1) {
    const uint32_t a = static_cast<uint32_t>(random.below(n));
    uint32_t b = static_cast<uint32_t>(random.below(n - 1));
    if (b >= a) ++b;
    return better(candidates[a], candidates[b], seq) ? a : b;
  }
  float top = candidates[0].score;
  for (const Candidate& c : candidates) top = std::max(top, c.score);
  // Most often one has it; the rest is for ties.
  uint32_t best = n;
  for (uint32_t i = 0; i < n; ++i)
    if (candidates[i].score == top && (best == n || better(candidates[i], candidates[best], seq)))
      best = i;
  return best;
}

}  // namespace sluice
