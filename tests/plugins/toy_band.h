// A band with one ordering and one fairness policy, small enough to see through: the policies' view
// of the engine.
//
// The caller parks requests, asks for the next one and says when it ends; time is what the caller
// says it is. Every pick is asked twice and checked as the host checks it. Room is not modelled:
// dispatch() always sends; a flow is blocked by saying so. Events come in the order that event.h
// promises, and only those that the policy wants.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "policy_file.h"

namespace sluice::testing {

struct ToyRequest {
  uint64_t seq = 0;
  uint64_t key = 0;
  uint64_t arrival_ns = 0;
  uint64_t deadline_ns = SLUICE_NEVER;
  uint64_t cost = 1;
  uint64_t bytes = 1;
  uint32_t slot = 0;
  friend bool operator<(const ToyRequest& a, const ToyRequest& b) {
    return a.key != b.key ? a.key < b.key : a.seq < b.seq;
  }
};

class ToyBand {
 public:
  // FAIRNESS or ORDERING may be null: then flows are not asked for, and requests go by arrival.
  ToyBand(uint32_t flow_slots, const Policy* fairness, const Policy* ordering = nullptr);
  ~ToyBand();  // fails the test if a hot call has allocated
  ToyBand(const ToyBand&) = delete;
  ToyBand& operator=(const ToyBand&) = delete;

  uint64_t now_ns = 0;

  uint32_t add_flow(uint32_t weight_milli = 1000);  // its slot: 0, 1, 2, ...
  void remove_flow(uint32_t slot);  // nothing parked; add_flow_at may use the slot again
  void add_flow_at(uint32_t slot, uint32_t weight_milli);
  void set_weight(uint32_t slot, uint32_t weight_milli);

  // Parks a request; returns its seq.
  uint64_t park(uint32_t slot, uint64_t cost, uint64_t deadline_ns = SLUICE_NEVER);
  // What goes next, by the policies; nothing if no flow is ready.
  std::optional<ToyRequest> dispatch();
  // The slot that the fairness policy names now; SLUICE_NONE if none is ready.
  uint32_t pick();
  // A dispatched request ends and turns out to have cost COST.
  void complete(const ToyRequest& request, uint64_t cost);
  void complete(const ToyRequest& request) { complete(request, request.cost); }
  // A dispatched request comes back, its charge returned.
  void requeue(const ToyRequest& request);
  // The newest parked request of SLOT leaves without dispatch.
  void shed_newest(uint32_t slot);
  void block(uint32_t slot);
  void unblock(uint32_t slot);

  // An event as it stands, whatever the policy asked for.
  void tell_raw(const sluice_event& event) { events_.push_back(event); }

  uint32_t parked(uint32_t slot) const { return parked_[slot]; }
  uint64_t served_cost(uint32_t slot) const { return served_cost_[slot]; }  // as settled
  const sluice_flows& flows();

 private:
  void tell(uint32_t type, uint32_t slot, int64_t change = 0, uint16_t outcome = 0,
            uint64_t seq = 0);
  void insert(const ToyRequest& request);
  void erase(const ToyRequest& request);
  void head_changed(uint32_t slot, uint64_t old_head);
  void set_status(uint32_t slot, uint8_t status);
  void flush();
  uint64_t key_of(const ToyRequest& request);

  // Runs CALL, a hot call of a policy, and counts what it allocates.
  template <typename Call>
  auto hot(Call call);

  const Policy* fairness_;
  const Policy* ordering_;
  std::unique_ptr<PolicyState> fairness_state_, ordering_state_;
  uint32_t used_ = 0;
  uint64_t seq_ = 0;
  uint64_t hot_allocations_ = 0;
  std::vector<std::set<ToyRequest>> queue_;
  std::vector<sluice_event> events_;

  sluice_flows view_{};
  std::vector<uint64_t> ready_bits_;
  std::vector<uint8_t> status_;
  std::vector<uint32_t> weight_milli_, parked_, inflight_;
  std::vector<uint64_t> parked_cost_, parked_bytes_, inflight_cost_, served_cost_, hash_;
  std::vector<uint64_t> head_key_, head_seq_, head_arrival_ns_, head_cost_;
};

// A request as a table of one row; lives as long as this.
class OneRequest {
 public:
  explicit OneRequest(const ToyRequest& request, uint32_t prompt_tokens = 0);
  OneRequest(const OneRequest&) = delete;
  OneRequest& operator=(const OneRequest&) = delete;
  const sluice_requests& get() const { return table_; }

 private:
  ToyRequest request_;
  uint64_t hash_ = 7;
  uint32_t prompt_tokens_, output_expected_ = 0, output_max_ = 0, cached_tokens_ = 0;
  int32_t priority_ = 0;
  sluice_requests table_{};
};

}  // namespace sluice::testing
