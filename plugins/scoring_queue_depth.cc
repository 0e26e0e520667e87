// The endpoint whose own queue is shortest, between 1 (shortest of the candidates) and 0 (longest);
// 1 if all are equal. As llm-d's queue-scorer. O(pairs). An endpoint of which nothing fresh is
// known gets the mean of the others.
#include <algorithm>

#include <sluice/sluice.hpp>

namespace {

struct QueueDepth {
  static constexpr sluice::Info info{"queue-depth",
                                     "The shorter the engine's own queue, the better."};

  void score(const sluice::Request&, const sluice::Endpoints& endpoints, const sluice::Pairs& pairs,
             sluice::Scores out) const {
    const auto waiting = endpoints.waiting();
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < pairs.size(); ++i) {
      if (!endpoints.known(pairs.endpoint(i))) continue;
      least = std::min(least, waiting[pairs.endpoint(i)]);
      most = std::max(most, waiting[pairs.endpoint(i)]);
    }
    if (most <= least) {  // all alike, or none known
      std::fill(out.begin(), out.end(), 1.0F);
      return;
    }
    const auto range = static_cast<float>(most - least);
    for (uint32_t i = 0; i < pairs.size(); ++i)
      out[i] = static_cast<float>(most - waiting[pairs.endpoint(i)]) / range;
    sluice::level_unknown(endpoints, pairs, out);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::scoring<QueueDepth>);
