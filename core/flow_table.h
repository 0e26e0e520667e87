// The flows of one band, as objects for the engine and as columns for the policies.
//
// A flow is the requests of one flow key. It has a slot for as long as it is remembered; beyond the
// table's capacity new keys share one overflow flow (slot 0, weight 1). Idle flows are remembered,
// least recently used first out. Owns the flows; borrows their requests. Complexity: find, park,
// unpark O(log n) in the flow's requests; the columns are kept up to date by each change, never
// rebuilt.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sluice/tables.h>

#include "core/request.h"

namespace sluice {

struct Flow {
  std::string name;
  uint32_t slot = 0;
  uint32_t band = 0;        // rank
  uint32_t tenant = kNone;  // index into Pipeline::tenants
  uint64_t dispatches = 0;
  FlowQueue parked;
  Request* oldest = nullptr;  // the parked ones, by arrival
  Request* newest = nullptr;
  uint32_t cls = kNone;  // eligibility class of the head; kNone while nothing is parked
  bool blocked = false;  // its policies were told that the head has no room
  // A head that is kept back although endpoints have room: for its size, which an endpoint is
  // emptied for, or for a better endpoint.
  enum class Held : uint8_t { kNo, kSize, kBetter } held = Held::kNo;
  uint32_t held_place = 0;         // in the engine's list
  RequestId held_head;             // that it is about
  uint32_t earmark = kNone;        // kSize: the endpoint
  Flow* blocked_before = nullptr;  // neighbours among the blocked flows of its class
  Flow* blocked_after = nullptr;
  TimeNs idle_since = 0;
  Flow* less_recent = nullptr;  // neighbours among idle flows
  Flow* more_recent = nullptr;
  bool idle = false;

  Request* head() const { return parked.empty() ? nullptr : parked.top(); }
};

class FlowTable {
 public:
  static constexpr uint32_t kOverflowSlot = 0;

  // CAPACITY: slots, the overflow flow's included.
  FlowTable(uint32_t band, uint32_t capacity);

  uint32_t capacity() const { return capacity_; }
  void set_capacity(uint32_t capacity) { capacity_ = capacity; }  // never smaller than it was
  void set_band(uint32_t rank);
  uint32_t size() const { return live_; }
  bool full() const { return free_.empty() && view_.slots == capacity_; }
  Flow* find(std::string_view name) const;
  // Takes a free slot; null if there is none.
  Flow* add(std::string_view name, uint64_t hash, uint32_t weight_milli);
  Flow* overflow();  // made on first use
  void remove(Flow* flow);
  bool set_weight(Flow* flow, uint32_t weight_milli);  // true if it changed

  void park(Flow* flow, Request* r);
  void unpark(Flow* flow, Request* r);
  void rekeyed(Flow* flow);  // the keys of its parked requests have changed
  void in_flight(Flow* flow, int32_t requests, int64_t cost);
  void charge(Flow* flow, int64_t change) {
    served_cost_[flow->slot] += static_cast<uint64_t>(change);
  }
  void set_ready(Flow* flow);         // waiting, and a legal pick
  void set_blocked(Flow* flow);       // waiting, not a legal pick
  void set_waiting_none(Flow* flow);  // nothing parked
  void refresh_head(Flow* flow);

  // Idle lists: flows with nothing parked and nothing in flight, least recently used first; one of
  // plain flows and one of tenants'. A flow's tenant changes only while it is in neither.
  void set_idle(Flow* flow, TimeNs now);
  void set_busy(Flow* flow);
  Flow* least_recent(bool plain) const { return idle_[plain].oldest; }

  template <typename F>
  void for_each(F&& f) const {
    for (const auto& flow : flows_)
      if (flow) f(*flow);
  }
  uint64_t hash(const Flow& f) const { return hash_[f.slot]; }
  uint32_t weight_milli(const Flow& f) const { return weight_milli_[f.slot]; }
  uint32_t in_flight(const Flow& f) const { return inflight_[f.slot]; }
  uint64_t parked_bytes(const Flow& f) const { return parked_bytes_[f.slot]; }
  uint64_t in_flight_cost(const Flow& f) const { return inflight_cost_[f.slot]; }
  uint64_t served_cost(const Flow& f) const { return served_cost_[f.slot]; }
  uint32_t ready_count() const { return view_.ready_count; }
  uint32_t waiting_count() const { return view_.waiting_count; }
  Flow* at(uint32_t slot) const { return slot < flows_.size() ? flows_[slot].get() : nullptr; }
  bool is_ready(uint32_t slot) const {
    return slot < view_.slots && (ready_bits_[slot / 64] >> (slot % 64) & 1) != 0;
  }

  // What policies see; valid until the next change.
  const sluice_flows& view(TimeNs now);
  // Pretends, for eviction policies, that requests have left a flow; undone by the same call with
  // the signs turned.
  void pretend(uint32_t slot, int32_t requests, int64_t bytes, int64_t cost);

 private:
  void grow(uint32_t slots);
  void point_view();

  uint32_t band_;
  uint32_t capacity_;
  uint32_t live_ = 0;
  std::vector<std::unique_ptr<Flow>> flows_;  // by slot
  std::vector<uint32_t> free_;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::unordered_map<std::string, Flow*, Hash, std::equal_to<>> by_name_;
  struct IdleList {
    Flow* oldest = nullptr;
    Flow* newest = nullptr;
  };
  IdleList idle_[2];  // [1] of plain flows

  sluice_flows view_{};
  std::vector<uint64_t> ready_bits_;
  std::vector<uint8_t> status_;
  std::vector<uint32_t> weight_milli_, parked_, inflight_;
  std::vector<uint64_t> parked_cost_, parked_bytes_, inflight_cost_, served_cost_, hash_;
  std::vector<uint64_t> head_key_, head_seq_, head_arrival_ns_, head_cost_;
};

}  // namespace sluice
