#include "host/traces/generator.h"

#include <algorithm>
#include <cmath>

#include "host/traces/draws.h"
#include "host/traces/limits.h"
#include "host/traces/prefix.h"

namespace sluice::traces {
namespace {

uint32_t draw_tokens(Random& random, const TokenCount& count) {
  double tokens = count.a;
  switch (count.kind) {
    case TokenCount::Kind::kFixed:
      break;
    case TokenCount::Kind::kLogNormal:
      tokens = std::round(count.a * draw_log_normal(random, count.b));
      break;
    case TokenCount::Kind::kUniform:
      tokens = count.a + std::floor(random.unit() * (count.b - count.a + 1));
      break;
  }
  return static_cast<uint32_t>(std::clamp(tokens, 1.0, static_cast<double>(kTokensMax)));
}

std::variant<OpenLoop, ClosedLoop> clock_of(const Load& load, uint64_t seed) {
  if (load.kind == LoadKind::kClosed) return ClosedLoop(load);
  return OpenLoop(load, seed);
}

}  // namespace

Generator::Generator(std::vector<Load> loads, uint64_t seed, TimeNs end)
    : loads_(std::move(loads)), end_(end) {
  TimeNs last = 0;
  Random seeds(seed);
  uint32_t clients = 0;
  for (const Load& load : loads_) {
    const uint64_t own = seeds.next();
    Lane lane{clock_of(load, own), Random::mix(own + 1), clients, 0, {}};
    clients += load.clients;
    if (!load.prefix_group.empty()) {
      group_blocks(load.prefix_group, load.prefix_tokens, lane.blocks);
    }
    lanes_.push_back(std::move(lane));
    last = std::max(last, load.to);
  }
  end_ = std::min(end_, last);
}

TimeNs Generator::Lane::next_at() const {
  return std::visit([](const auto& c) { return c.next_at(); }, clock);
}

size_t Generator::next_lane() const {
  const auto first =
      std::min_element(lanes_.begin(), lanes_.end(),
                       [](const Lane& a, const Lane& b) { return a.next_at() < b.next_at(); });
  return static_cast<size_t>(first - lanes_.begin());
}

TimeNs Generator::next_at() {
  const TimeNs at = lanes_[next_lane()].next_at();
  return at < end_ ? at : kNever;
}

const Arrival& Generator::take() {
  const size_t index = next_lane();
  Lane& lane = lanes_[index];
  const Load& load = loads_[index];
  arrival_ = Arrival{};
  arrival_.at = lane.next_at();
  if (auto* closed = std::get_if<ClosedLoop>(&lane.clock)) {
    arrival_.client = lane.first_client + closed->take();
  } else {
    std::get<OpenLoop>(lane.clock).advance();
  }
  Random sizes(Random::mix(lane.seed + lane.sent++ * 0x9e3779b97f4a7c15));
  arrival_.prompt_tokens = draw_tokens(sizes, load.prompt);
  arrival_.output_tokens = draw_tokens(sizes, load.output);
  arrival_.flow = load.flow;
  arrival_.objective = load.objective;
  arrival_.model = load.model;
  arrival_.blocks =
      std::span(lane.blocks)
          .first(std::min<size_t>(lane.blocks.size(), arrival_.prompt_tokens / kBlockTokens));
  arrival_.ordinal = ordinal_++;
  return arrival_;
}

void Generator::ended(uint32_t client, TimeNs now) {
  for (Lane& lane : lanes_) {
    auto* closed = std::get_if<ClosedLoop>(&lane.clock);
    if (closed == nullptr || client < lane.first_client) continue;
    closed->ended(client - lane.first_client, now);
  }
}

double Generator::progress() const {
  return end_ == 0 ? 1
                   : std::min(1.0, static_cast<double>(arrival_.at) / static_cast<double>(end_));
}

}  // namespace sluice::traces
