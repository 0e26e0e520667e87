// One queue for the whole band: the flow whose head the ordering puts first, the older head if
// equal. No fairness.
//
// Under ordering fcfs that is the oldest request of the band (gateway-api-inference-extension
// #674); under another ordering the whole band follows it. All flows of a band have one ordering,
// so their head keys can be compared. Complexity: pick O(1), an event O(log flows).
#include <tuple>

#include <sluice/slot_heap.hpp>
#include <sluice/sluice.hpp>

namespace {

struct Key {
  uint64_t head_key, head_seq;
  bool operator<(const Key& other) const {
    return std::tie(head_key, head_seq) < std::tie(other.head_key, other.head_seq);
  }
};

struct Fcfs {
  static constexpr sluice::Info info{
      "fcfs", "The flow whose head the ordering puts first, as if the band had one queue."};
  static constexpr uint64_t events = sluice::event_mask(
      SLUICE_EV_FLOW_REMOVED, SLUICE_EV_WAITING, SLUICE_EV_IDLE, SLUICE_EV_BLOCKED,
      SLUICE_EV_UNBLOCKED, SLUICE_EV_HEAD, SLUICE_EV_DISPATCHED, SLUICE_EV_SHED);

  struct State {
    explicit State(const sluice::Scope& scope) : ready(scope.flow_slots) {}
    sluice::SlotHeap<Key> ready;
  };

  // Whatever happened to the flow, the table says where it stands now.
  void observe(State& state, const sluice::Flows& flows, const sluice::Event& event) const {
    if (flows.is_ready(event.slot)) {
      state.ready.set(event.slot, {flows.head_key()[event.slot], flows.head_seq()[event.slot]});
    } else {
      state.ready.erase(event.slot);
    }
  }

  uint32_t pick(const State& state, const sluice::Flows& flows) const {
    return flows.is_ready(state.ready.top()) ? state.ready.top() : flows.first_ready();
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::fairness<Fcfs>);
