// The endpoint with most of its room left, by this host's own counts: 1 - in flight / limit.
// O(pairs).
//
// Own counts are exact at every moment, where scraped ones lag: with stale loads everybody runs to
// the same endpoint (Mitzenmacher, "How useful is old information?", 2000). Without a limit: 1 / (1
// + in flight), which orders alike.
#include <sluice/sluice.hpp>

namespace {

struct InFlight {
  static constexpr sluice::Info info{
      "in-flight", "The smaller the part of its limit that is in flight, the better."};

  void score(const sluice::Request&, const sluice::Endpoints& endpoints, const sluice::Pairs& pairs,
             sluice::Scores out) const {
    for (uint32_t i = 0; i < pairs.size(); ++i) {
      const uint32_t row = pairs.endpoint(i);
      const auto inflight = static_cast<float>(endpoints.inflight()[row]);
      const uint32_t limit = endpoints.limit()[row];
      if (limit == SLUICE_NONE) {
        out[i] = 1.0F / (1.0F + inflight);
      } else if (endpoints.inflight()[row] < limit) {
        out[i] = 1.0F - inflight / static_cast<float>(limit);
      }
    }
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::scoring<InFlight>);
