#include "core/estimates.h"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

// Beyond these a sample is an image, an empty prompt, or a server that counts something else.
constexpr double kBytesPerTokenMin = 0.25, kBytesPerTokenMax = 4096;

uint32_t to_tokens(double value) {
  return static_cast<uint32_t>(std::clamp(value + 0.5, 0.0, 4e9));
}

}  // namespace

const Estimates::Model& Estimates::find(uint64_t model) const {
  const auto it = models_.find(model);
  return it != models_.end() ? it->second : others_;
}

uint32_t Estimates::prompt_tokens(uint64_t model, uint64_t bytes) const {
  return to_tokens(static_cast<double>(bytes) / find(model).bytes_per_token.value());
}

uint32_t Estimates::cached_tokens(uint64_t model, uint32_t prefix_tokens) const {
  return prefix_tokens != 0 ? to_tokens(prefix_tokens * find(model).cached_of_prefix.value()) : 0;
}

uint32_t Estimates::output_tokens(uint64_t model, uint32_t output_max, uint32_t choices) const {
  const uint32_t p75 = find(model).p75;
  const uint64_t each = output_max != 0 ? std::min(output_max, p75) : p75;
  return static_cast<uint32_t>(std::min<uint64_t>(each * choices, UINT32_MAX));
}

uint32_t Estimates::tokens_of_events(uint64_t model, uint32_t events) const {
  return to_tokens(events * find(model).tokens_per_event.value());
}

uint32_t Estimates::tokens_of_time(uint64_t model, TimeNs elapsed, uint32_t output_max,
                                   uint32_t choices) const {
  const Model& m = find(model);
  const size_t seen = std::min<size_t>(m.seen, m.outputs.size());
  if (seen == 0) return 0;
  const uint32_t longest = *std::max_element(m.outputs.begin(), m.outputs.begin() + seen);
  const uint32_t most = output_max != 0 ? output_max : longest;
  // A token counts once it is whole.
  const double each =
      std::min<double>(std::floor(m.pace.tokens_after(static_cast<double>(elapsed))), most);
  return to_tokens(each * choices);
}

void Estimates::Pace::add(double tokens, double ns) {
  const double keep = 1 - 1 / kSamplesKept;
  n = n * keep + 1;
  x = x * keep + tokens;
  y = y * keep + ns;
  xx = xx * keep + tokens * tokens;
  xy = xy * keep + tokens * ns;
}

double Estimates::Pace::tokens_after(double ns) const {
  if (n == 0) return 0;
  const double mean_x = x / n, mean_y = y / n;
  const double spread = xx / n - mean_x * mean_x;
  double each = spread >= 1 ? (xy / n - mean_x * mean_y) / spread : 0;
  double before = mean_y - each * mean_x;  // what does not depend on the length
  // Outputs of one length, or times that have nothing to do with it, show no line.
  if (each <= 0) {
    each = mean_y / mean_x;
    before = 0;
  }
  // The first token may come at once, but not before the request.
  before = std::max(before, -each);
  return std::max((ns - before) / each, 0.0);
}

void Estimates::learn(uint64_t model, const Sample& s) {
  Model& m =
      models_.size() < kModelsEstimatedMax || models_.contains(model) ? models_[model] : others_;
  if (s.prompt_bytes != 0 && s.prompt_tokens != 0) {
    const double ratio = static_cast<double>(s.prompt_bytes) / s.prompt_tokens;
    if (ratio >= kBytesPerTokenMin && ratio <= kBytesPerTokenMax)
      m.bytes_per_token.add(static_cast<double>(s.prompt_bytes), s.prompt_tokens);
  }
  if (s.prefix_tokens != 0)
    m.cached_of_prefix.add(std::min(s.cached_tokens, s.prefix_tokens), s.prefix_tokens);
  if (s.output_tokens == 0) return;
  if (s.events != 0) m.tokens_per_event.add(s.output_tokens, s.events);
  const uint32_t each = s.output_tokens / std::max(s.choices, 1u);
  if (s.elapsed != 0 && each != 0) m.pace.add(each, static_cast<double>(s.elapsed));
  m.outputs[m.seen++ % m.outputs.size()] = each;
  // Sorting all of them for each would cost more than a dispatch.
  if (m.seen > 16 && m.seen % 16 != 0) return;
  std::array<uint32_t, 256> sorted = m.outputs;
  const size_t n = std::min<size_t>(m.seen, sorted.size());
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(n * 3 / 4);
  std::nth_element(sorted.begin(), at, sorted.begin() + static_cast<std::ptrdiff_t>(n));
  m.p75 = std::max(*at, 1u);
}

}  // namespace sluice
