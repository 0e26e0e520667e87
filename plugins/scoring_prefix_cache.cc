// The endpoint that likely holds most of the prompt: cached tokens / prompt tokens. As llm-d's
// prefix-cache-scorer with its default weights; the host keeps the index. O(pairs).
#include <algorithm>

#include <sluice/sluice.hpp>

namespace {

struct PrefixCache {
  static constexpr sluice::Info info{
      "prefix-cache", "The more of the prompt an endpoint already holds, the better."};
  static constexpr uint64_t inputs = SLUICE_IN_PREFIX;

  void score(const sluice::Request& request, const sluice::Endpoints&, const sluice::Pairs& pairs,
             sluice::Scores out) const {
    if (request.prompt_tokens() == 0) return;
    const auto prompt = static_cast<float>(request.prompt_tokens());
    for (uint32_t i = 0; i < pairs.size(); ++i)
      out[i] = std::min(1.0F, static_cast<float>(pairs.cached_tokens(i)) / prompt);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::scoring<PrefixCache>);
