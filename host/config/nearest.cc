#include <algorithm>
#include <array>

#include "host/config/diagnostics.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

constexpr size_t kCompared = 64;  // bytes; longer names are not typing errors

// Damerau-Levenshtein distance (optimal string alignment): the fewest inserts, deletes,
// replacements and swaps of neighbours that turn A into B, no part edited twice. O(|a| x |b|); both
// at most kCompared bytes.
size_t distance(std::string_view a, std::string_view b) {
  std::array<std::array<size_t, kCompared + 1>, 3> rows{};
  for (size_t j = 0; j <= b.size(); j++) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); j++) {
      const size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_above[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::string nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > kCompared) return "";
  const std::string wanted = lower_case(name);
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kCompared) continue;
    const size_t edits = distance(wanted, lower_case(candidate));
    // One edit in three letters may be a slip; more is another word.
    if (edits <= std::max(name.size(), candidate.size()) / 3 && edits < best_distance) {
      best = candidate;
      best_distance = edits;
    }
  }
  return std::string(best);
}

}  // namespace sluice::config
