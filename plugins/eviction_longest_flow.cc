// Fair drop: the flow that holds most loses its newest request, in lower bands first, then in the
// newcomer's own.
//
// In its own band the newcomer counts as already parked: if that makes its flow the largest, or as
// large as the largest, the newcomer is refused. So full queues even out between the flows, and two
// equal flows do not take turns in throwing each other out. After "longest queue drop" (Suter,
// Lakshman, Stiliadis & Choudhury, INFOCOM 1998).
//
// Holding is counted in what has to be freed, requests or bytes. Equal flows: the one whose head
// came later loses. Complexity: O(slots) a victim, over one column.
#include <sluice/sluice.hpp>

namespace {

struct LongestFlow {
  static constexpr sluice::Info info{
      "longest-flow",
      "The flow that holds most loses its newest, unless it is the newcomer's own."};

  uint32_t pick(const sluice::Flows& flows, const sluice::Band& band,
                const sluice::Need& need) const {
    const uint32_t loser = flows.largest(need.reason);
    if (loser == SLUICE_NONE || band.rank != need.newcomer_rank) return loser;
    return flows.held(loser, need.reason) > with_newcomer(flows, need) ? loser : SLUICE_NONE;
  }

 private:
  static uint64_t with_newcomer(const sluice::Flows& flows, const sluice::Need& need) {
    const uint64_t own =
        need.newcomer_slot < flows.slots() ? flows.held(need.newcomer_slot, need.reason) : 0;
    return own + (need.reason == SLUICE_NEED_BYTES ? need.newcomer->bytes[0] : 1);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::eviction<LongestFlow>);
