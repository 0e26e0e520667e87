// Round robin: every waiting flow in turn, one request a turn.
//
// A flow takes a numbered ticket when it begins to wait and another after each dispatch; the lowest
// ticket that is ready goes next. So a flow that comes, or comes back, joins at the end of the
// round and has no credit, and between two dispatches of a ready flow every other flow is served at
// most once by ticket, whatever comes and goes. A blocked flow keeps its ticket, and when it is
// ready again has this one turn before the others, not those it missed. Complexity: pick O(1), an
// event O(log flows). A list in place of the heap would have to be searched past the blocked.
#include <sluice/slot_heap.hpp>
#include <sluice/sluice.hpp>

#include <vector>

namespace {

struct RoundRobin {
  static constexpr sluice::Info info{"round-robin",
                                     "Every waiting flow in turn, one request a turn."};
  static constexpr uint64_t events =
      sluice::event_mask(SLUICE_EV_FLOW_REMOVED, SLUICE_EV_WAITING, SLUICE_EV_IDLE,
                         SLUICE_EV_BLOCKED, SLUICE_EV_UNBLOCKED, SLUICE_EV_DISPATCHED);

  struct State {
    explicit State(const sluice::Scope& scope)
        : ready(scope.flow_slots), ticket(scope.flow_slots) {}
    sluice::SlotHeap<uint64_t> ready;
    std::vector<uint64_t> ticket;  // by slot; 0 = not waiting
    uint64_t issued = 0;
  };

  void observe(State& state, const sluice::Flows& flows, const sluice::Event& event) const {
    uint64_t& ticket = state.ticket[event.slot];
    switch (event.type) {
      case SLUICE_EV_WAITING:
        ticket = ++state.issued;
        break;
      case SLUICE_EV_DISPATCHED:
        if (ticket != 0) ticket = ++state.issued;
        break;
      case SLUICE_EV_IDLE:
      case SLUICE_EV_FLOW_REMOVED:
        ticket = 0;
        break;
      default:
        break;
    }
    if (ticket != 0 && flows.is_ready(event.slot)) {
      state.ready.set(event.slot, ticket);
    } else {
      state.ready.erase(event.slot);
    }
  }

  uint32_t pick(const State& state, const sluice::Flows& flows) const {
    return flows.is_ready(state.ready.top()) ? state.ready.top() : flows.first_ready();
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::fairness<RoundRobin>);
