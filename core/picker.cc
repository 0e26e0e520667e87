#include "core/picker.h"

#include "core/columns.h"

namespace sluice {
namespace {

// Whether the candidate with index A goes before that with index B.
bool better(const Candidates& c, uint32_t a, uint32_t b, uint64_t seq) {
  if (c.scores[a] != c.scores[b]) return c.scores[a] > c.scores[b];
  const uint32_t slot_a = c.slots[a], slot_b = c.slots[b];
  if (c.in_flight[slot_a] != c.in_flight[slot_b]) return c.in_flight[slot_a] < c.in_flight[slot_b];
  const uint64_t ha = Random::mix(seq * 0x9e3779b97f4a7c15 + slot_a);
  const uint64_t hb = Random::mix(seq * 0x9e3779b97f4a7c15 + slot_b);
  return ha != hb ? ha < hb : slot_a < slot_b;
}

uint32_t weighted(std::span<const float> scores, Random& random) {
  double sum = 0;
  for (const float score : scores) sum += score;
  if (sum <= 0) return static_cast<uint32_t>(random.below(scores.size()));
  double mark = random.unit() * sum;
  uint32_t last = 0;
  for (uint32_t i = 0; i < scores.size(); ++i) {
    if (scores[i] <= 0) continue;
    last = i;
    mark -= scores[i];
    if (mark < 0) break;
  }
  return last;
}

}  // namespace

uint32_t pick_endpoint(PickerKind kind, const Candidates& c, uint64_t seq, Random& random) {
  const uint32_t n = static_cast<uint32_t>(c.slots.size());
  if (kind == PickerKind::kWeightedRandom) return weighted(c.scores, random);
  if (kind == PickerKind::kPowerOfTwo && n > 1) {
    const uint32_t a = static_cast<uint32_t>(random.below(n));
    uint32_t b = static_cast<uint32_t>(random.below(n - 1));
    if (b >= a) ++b;
    return better(c, a, b, seq) ? a : b;
  }
  const float top = highest(c.scores);
  // Most often one has it; the rest is for ties.
  uint32_t best = n;
  for (uint32_t i = 0; i < n; ++i)
    if (c.scores[i] == top && (best == n || better(c, i, best, seq))) best = i;
  return best;
}

}  // namespace sluice
