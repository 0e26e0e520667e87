// Virtual token counter (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024).
//
// Each flow has a counter of the cost that it was served, by weight; the ready flow with the least
// counter goes next, the older head if equal. Between two flows that stay backlogged the served
// cost differs by at most twice the largest request. Input and output tokens are weighted by the
// host's cost units.
//  - A flow that comes back from idle is lifted to the least counter among the waiting flows, or,
//  if nobody waits, to
//    that of the flow that left last: being idle earns nothing. (The paper's code leaves out the
//    second half.)
//  - Blocked is still backlogged: such a flow counts as waiting and is not lifted, but neither it
//  nor who is lifted to
//    its counter may lag the ready flows by more than catch_up_tokens, else it would shut them out
//    for as long.
//  - Costs are settled as they become known: `change` is signed.
// Complexity: pick O(1), an event O(log flows). Counters are in shares of sluice_per_weight.
#include <algorithm>
#include <tuple>
#include <vector>

#include <sluice/slot_heap.hpp>
#include <sluice/sluice.hpp>

namespace {

struct Key {
  int64_t counter;
  uint64_t head_seq;
  bool operator<(const Key& other) const {
    return std::tie(counter, head_seq) < std::tie(other.counter, other.head_seq);
  }
};

struct Vtc {
  static constexpr sluice::Info info{
      "vtc", "The flow that was served least, by weight; being idle earns nothing."};
  static constexpr sluice_param_v1 params[] = {sluice::int_param(
      "catch_up_tokens", "What a flow may catch up at once after it was blocked, at weight 1.",
      "cost units", 8192, 0, 1'000'000'000)};
  static constexpr uint64_t events = sluice::event_mask(
      SLUICE_EV_FLOW_ADDED, SLUICE_EV_FLOW_REMOVED, SLUICE_EV_WAITING, SLUICE_EV_IDLE,
      SLUICE_EV_BLOCKED, SLUICE_EV_UNBLOCKED, SLUICE_EV_HEAD, SLUICE_EV_DISPATCHED,
      SLUICE_EV_PROGRESSED, SLUICE_EV_COMPLETED, SLUICE_EV_SHED);

  struct State {
    explicit State(const sluice::Scope& scope)
        : flow(scope.flow_slots), ready(scope.flow_slots), blocked(scope.flow_slots) {}
    struct Flow {
      int64_t counter = 0;
      bool waiting = false;
    };
    std::vector<Flow> flow;
    sluice::SlotHeap<Key> ready, blocked;
    uint32_t left_last = SLUICE_NONE;  // the flow that went idle last
    int64_t left_counter = 0;          // its counter
  };

  explicit Vtc(const sluice::Setup& setup)
      : catch_up_(sluice_per_weight(setup.get_int("catch_up_tokens"), 1000)) {}

  void observe(State& state, const sluice::Flows& flows, const sluice::Event& event) const {
    State::Flow& flow = state.flow[event.slot];
    switch (event.type) {
      case SLUICE_EV_FLOW_ADDED:
      case SLUICE_EV_FLOW_REMOVED:
        flow = State::Flow{};
        if (state.left_last == event.slot) state.left_last = SLUICE_NONE;
        break;
      case SLUICE_EV_WAITING:
        flow.counter = std::max(flow.counter, floor(state));
        flow.waiting = true;
        break;
      case SLUICE_EV_UNBLOCKED:
        if (!state.ready.empty())
          flow.counter = std::max(flow.counter, state.ready.top_key().counter - catch_up_);
        break;
      case SLUICE_EV_IDLE:
        flow.waiting = false;
        state.left_last = event.slot;
        break;
      case SLUICE_EV_DISPATCHED:
      case SLUICE_EV_PROGRESSED:
      case SLUICE_EV_COMPLETED:
        // A refund of what was charged before this state existed would be a present.
        if (event.change >= 0 || (event.flags & SLUICE_EVF_INHERITED) == 0)
          flow.counter += sluice_per_weight(event.change, flows.weight_milli()[event.slot]);
        break;
      default:
        break;
    }
    if (state.left_last == event.slot) state.left_counter = flow.counter;
    place(state, flows, event.slot);
  }

  uint32_t pick(const State& state, const sluice::Flows& flows) const {
    return flows.is_ready(state.ready.top()) ? state.ready.top() : flows.first_ready();
  }

 private:
  // What a flow that returns from idle is lifted to.
  int64_t floor(const State& state) const {
    if (state.ready.empty())
      return state.blocked.empty() ? state.left_counter : state.blocked.top_key().counter;
    const int64_t ready = state.ready.top_key().counter;
    if (state.blocked.empty()) return ready;
    return std::min(ready, std::max(state.blocked.top_key().counter, ready - catch_up_));
  }

  // Into the heap where the table says that SLOT belongs now.
  static void place(State& state, const sluice::Flows& flows, uint32_t slot) {
    const bool waiting = state.flow[slot].waiting && flows.is_waiting(slot);
    const Key key{state.flow[slot].counter, waiting ? flows.head_seq()[slot] : 0};
    if (waiting && flows.is_ready(slot)) {
      state.blocked.erase(slot);
      state.ready.set(slot, key);
    } else if (waiting) {
      state.ready.erase(slot);
      state.blocked.set(slot, key);
    } else {
      state.ready.erase(slot);
      state.blocked.erase(slot);
    }
  }

  int64_t catch_up_;
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::fairness<Vtc>);
