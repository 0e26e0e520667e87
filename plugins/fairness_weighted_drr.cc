// Deficit round robin over tokens, weighted (Shreedhar & Varghese, SIGCOMM 1995).
//
// In every round each waiting flow's deficit grows by quantum x weight, and it sends heads while
// its deficit covers their cost. Two backlogged flows differ, per weight, by at most the largest
// request and a quantum.
//
// The round of a flow's next dispatch follows from its deficit and the cost of its head, so flows
// are kept by (round, place in the round) and whole rounds in which nobody can send are jumped: a
// small quantum costs nothing.
//  - A flow that begins to wait joins at the end of the next round. Going idle loses the credit but
//  not the debt.
//  - A turn that was interrupted (the flow was blocked) is resumed with what is left of its
//  deficit.
//  - A blocked flow does not gather the rounds that it missed beyond what its head needs.
//  - Costs are settled: what a request cost more or less than estimated moves the deficit.
// Complexity: pick O(1), an event O(log flows). Arithmetic in thousandths of a cost unit, exact for
// every weight.
#include <algorithm>
#include <tuple>
#include <vector>

#include <sluice/slot_heap.hpp>
#include <sluice/sluice.hpp>

namespace {

struct Turn {
  uint64_t round, place;
  bool operator<(const Turn& other) const {
    return std::tie(round, place) < std::tie(other.round, other.place);
  }
};

constexpr int64_t kCostMax = int64_t{1} << 40;  // larger costs count as this
constexpr int64_t kMilli = 1000;

struct Flow {
  int64_t deficit = 0;  // in milli cost units; negative = debt
  int64_t quantum = 1;  // in milli cost units a round
  uint64_t next = 0;    // the first round whose quantum it has not had
  bool waiting = false;
  bool in_turn = false;  // it has had the quantum of `turn` and may go on sending
  Turn turn{};           // of its next dispatch
};

struct WeightedDrr {
  static constexpr sluice::Info info{
      "weighted-drr", "Deficit round robin: tokens in proportion to weight, a quantum a turn."};
  static constexpr sluice_param_v1 params[] = {
      sluice::int_param("quantum", "What a flow of weight 1 may spend in one turn.", "cost units",
                        256, 1, 1'000'000)};
  static constexpr uint64_t events = sluice::event_mask(
      SLUICE_EV_FLOW_ADDED, SLUICE_EV_FLOW_REMOVED, SLUICE_EV_FLOW_CHANGED, SLUICE_EV_WAITING,
      SLUICE_EV_IDLE, SLUICE_EV_BLOCKED, SLUICE_EV_UNBLOCKED, SLUICE_EV_HEAD, SLUICE_EV_DISPATCHED,
      SLUICE_EV_PROGRESSED, SLUICE_EV_COMPLETED, SLUICE_EV_SHED);

  struct State {
    explicit State(const sluice::Scope& scope) : flow(scope.flow_slots), ready(scope.flow_slots) {}
    std::vector<Flow> flow;
    sluice::SlotHeap<Turn> ready;
    Turn now{};           // the turn that was dispatched last
    uint64_t joined = 0;  // places given out
  };

  explicit WeightedDrr(const sluice::Setup& setup) : quantum_(setup.get_int("quantum")) {}

  void observe(State& state, const sluice::Flows& flows, const sluice::Event& event) const {
    Flow& flow = state.flow[event.slot];
    switch (event.type) {
      case SLUICE_EV_FLOW_ADDED:
      case SLUICE_EV_FLOW_REMOVED:
        flow = Flow{};
        break;
      case SLUICE_EV_WAITING:
        flow.waiting = true;
        flow.next = state.now.round + 1;
        flow.turn.place = ++state.joined;
        break;
      case SLUICE_EV_IDLE:
        flow.waiting = false;
        flow.in_turn = false;
        flow.deficit = std::min<int64_t>(flow.deficit, 0);
        break;
      case SLUICE_EV_DISPATCHED:
        begin_turn(state, flow);
        charge(flow, event.change);
        break;
      case SLUICE_EV_PROGRESSED:
      case SLUICE_EV_COMPLETED:
        settle(state, flow, event);
        break;
      default:
        break;
    }
    plan(state, flows, event.slot);
  }

  uint32_t pick(const State& state, const sluice::Flows& flows) const {
    return flows.is_ready(state.ready.top()) ? state.ready.top() : flows.first_ready();
  }

 private:
  // FLOW dispatches. If it is its turn, it gets the quanta of the rounds up to now; out of turn it
  // only owes.
  static void begin_turn(State& state, Flow& flow) {
    if (!state.ready.empty() && state.ready.top_key() < flow.turn) return;
    if (!flow.in_turn && flow.turn.round >= flow.next) {
      const auto rounds = static_cast<int64_t>(flow.turn.round - flow.next + 1);
      flow.deficit += rounds * flow.quantum;
      flow.in_turn = true;
    }
    if (state.now < flow.turn) state.now = flow.turn;
  }

  static void charge(Flow& flow, int64_t change) {
    flow.deficit -= std::clamp(change, -kCostMax, kCostMax) * kMilli;
    flow.deficit = std::clamp(flow.deficit, -kCostMax * kMilli, kCostMax * kMilli);
  }

  // What a request cost more or less than it was charged for.
  static void settle(const State& state, Flow& flow, const sluice::Event& event) {
    // A refund of what was charged before this state existed would be a present.
    if ((event.flags & SLUICE_EVF_INHERITED) != 0 && event.change < 0) return;
    charge(flow, event.change);
    if (event.outcome == SLUICE_OUT_REQUEUED) {
      end_turn(state, flow);  // else a request that always comes back would hold its turn for ever
    } else if (!flow.waiting) {
      flow.deficit = std::min<int64_t>(flow.deficit, 0);
    }
  }

  static void end_turn(const State& state, Flow& flow) {
    if (!flow.in_turn) return;
    flow.in_turn = false;
    flow.next = state.now.round + (flow.turn.place > state.now.place ? 0 : 1);
  }

  // When SLOT dispatches next.
  void plan(State& state, const sluice::Flows& flows, uint32_t slot) const {
    Flow& flow = state.flow[slot];
    if (!flow.waiting || !flows.is_ready(slot)) {
      state.ready.erase(slot);
      return;
    }
    flow.quantum = quantum_ * flows.weight_milli()[slot];
    const auto cost = static_cast<int64_t>(
        std::clamp<uint64_t>(flows.head_cost()[slot], 1, static_cast<uint64_t>(kCostMax)));
    const int64_t lacks = cost * kMilli - flow.deficit;
    if (lacks > 0) end_turn(state, flow);
    if (!flow.in_turn) {
      const int64_t rounds = lacks <= flow.quantum ? 0 : (lacks - 1) / flow.quantum;
      flow.turn.round = flow.next + static_cast<uint64_t>(rounds);
    }
    state.ready.set(slot, flow.turn);
  }

  int64_t quantum_;
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::fairness<WeightedDrr>);
