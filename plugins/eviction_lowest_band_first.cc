// Lower bands make room: there the flow that holds most loses its newest request; inside its own
// band the newcomer is refused. The host asks about the lowest band first.
//
// Holding is counted in what has to be freed, requests or bytes. Equal flows: the one whose head
// came later loses. Complexity: O(slots) a victim, over one column.
#include <sluice/sluice.hpp>

namespace {

struct LowestBandFirst {
  static constexpr sluice::Info info{"lowest-band-first",
                                     "Work of lower bands gives way, newest of the largest flow "
                                     "first; inside a band nobody does."};

  uint32_t pick(const sluice::Flows& flows, const sluice::Band& band,
                const sluice::Need& need) const {
    if (band.rank <= need.newcomer_rank) return SLUICE_NONE;
    return flows.largest(need.reason);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::eviction<LowestBandFirst>);
