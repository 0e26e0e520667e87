// Round robin: every waiting flow in turn, one request a turn.
//
// The turn goes round the slots. A flow has the same place in the round for as long as it is
// remembered, so one that comes, or comes back, waits until the round reaches it: sooner than at
// the end of a queue, yet leaving and returning gains nothing, since to be served again the turn
// must first pass everybody else. Between two dispatches of a flow that stays ready every other
// flow is served at most once. A blocked flow is passed over; its missed turns are not made up.
// Complexity: pick O(slots / 64), an event O(1).
// Source: J. Nagle, "On packet switches with infinite storage", 1987.
#include <sluice/sluice.hpp>

namespace {

struct RoundRobin {
  static constexpr sluice::Info info{"round-robin",
                                     "Every waiting flow in turn, one request a turn."};
  static constexpr uint64_t events = sluice::event_mask(SLUICE_EV_DISPATCHED);

  struct State {
    explicit State(const sluice::Scope&) {}
    uint32_t next = 0;  // the slot behind the one that was served last
  };

  void observe(State& state, const sluice::Flows&, const sluice::Event& event) const {
    if (event.type == SLUICE_EV_DISPATCHED) state.next = event.slot + 1;
  }

  uint32_t pick(const State& state, const sluice::Flows& flows) const {
    const uint32_t slot = sluice_next_ready(&flows.raw(), state.next);
    return slot != SLUICE_NONE ? slot : sluice_next_ready(&flows.raw(), 0);
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::fairness<RoundRobin>);
