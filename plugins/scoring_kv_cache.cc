// The endpoint whose KV cache is emptiest: 1 - used. As llm-d's kv-cache-utilization-scorer.
// O(pairs). An endpoint of which nothing fresh is known gets the mean of the others.
#include <algorithm>

#include <sluice/sluice.hpp>

namespace {

struct KvCache {
  static constexpr sluice::Info info{"kv-cache", "The emptier the engine's KV cache, the better."};

  void score(const sluice::Request&, const sluice::Endpoints& endpoints, const sluice::Pairs& pairs,
             sluice::Scores out) const {
    const auto used = endpoints.kv_used();
    for (uint32_t i = 0; i < pairs.size(); ++i)
      out[i] = 1.0F - std::clamp(used[pairs.endpoint(i)], 0.0F, 1.0F);
    sluice::level_unknown(endpoints, pairs, out);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::scoring<KvCache>);
