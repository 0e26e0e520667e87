#include "toy_band.h"

#include <gtest/gtest.h>

#include "allocations.h"

namespace sluice::testing {

ToyBand::ToyBand(uint32_t flow_slots, const Policy* fairness, const Policy* ordering)
    : fairness_(fairness), ordering_(ordering), queue_(flow_slots) {
  if (fairness_ != nullptr) fairness_state_ = std::make_unique<PolicyState>(*fairness_, flow_slots);
  if (ordering_ != nullptr) ordering_state_ = std::make_unique<PolicyState>(*ordering_, flow_slots);
  ready_bits_.resize((flow_slots + 63) / 64);
  status_.resize(flow_slots, SLUICE_FLOW_FREE);
  weight_milli_.resize(flow_slots, 1000);
  for (auto* column : {&parked_, &inflight_}) column->resize(flow_slots);
  for (auto* column : {&parked_cost_, &parked_bytes_, &inflight_cost_, &served_cost_, &hash_,
                       &head_key_, &head_seq_, &head_arrival_ns_, &head_cost_}) {
    column->resize(flow_slots);
  }
  view_ = {sizeof(view_),
           flow_slots,
           0,
           0,
           0,
           ready_bits_.data(),
           status_.data(),
           weight_milli_.data(),
           parked_.data(),
           inflight_.data(),
           parked_cost_.data(),
           parked_bytes_.data(),
           inflight_cost_.data(),
           served_cost_.data(),
           hash_.data(),
           head_key_.data(),
           head_seq_.data(),
           head_arrival_ns_.data(),
           head_cost_.data()};
}

ToyBand::~ToyBand() { EXPECT_EQ(hot_allocations_, 0U) << "allocations in hot calls"; }

template <typename Call>
auto ToyBand::hot(Call call) {
  const uint64_t before = allocations();
  const auto answer = call();
  hot_allocations_ += allocations() - before;
  return answer;
}

const sluice_flows& ToyBand::flows() {
  view_.now_ns = now_ns;
  return view_;
}

// ---- flows ----

uint32_t ToyBand::add_flow(uint32_t weight_milli) {
  add_flow_at(used_, weight_milli);
  return used_++;
}

void ToyBand::add_flow_at(uint32_t slot, uint32_t weight_milli) {
  weight_milli_[slot] = weight_milli;
  served_cost_[slot] = 0;
  status_[slot] = SLUICE_FLOW_IDLE;
  tell(SLUICE_EV_FLOW_ADDED, slot);
}

void ToyBand::remove_flow(uint32_t slot) {
  tell(SLUICE_EV_FLOW_REMOVED, slot);
  status_[slot] = SLUICE_FLOW_FREE;
}

void ToyBand::set_weight(uint32_t slot, uint32_t weight_milli) {
  weight_milli_[slot] = weight_milli;
  tell(SLUICE_EV_FLOW_CHANGED, slot);
}

void ToyBand::block(uint32_t slot) {
  set_status(slot, SLUICE_FLOW_BLOCKED);
  tell(SLUICE_EV_BLOCKED, slot);
}

void ToyBand::unblock(uint32_t slot) {
  set_status(slot, SLUICE_FLOW_READY);
  tell(SLUICE_EV_UNBLOCKED, slot);
}

void ToyBand::set_status(uint32_t slot, uint8_t status) {
  const auto waits = [](uint8_t s) { return s >= SLUICE_FLOW_BLOCKED ? 1U : 0U; };
  const auto is_ready = [](uint8_t s) { return s == SLUICE_FLOW_READY ? 1U : 0U; };
  view_.waiting_count += waits(status) - waits(status_[slot]);
  view_.ready_count += is_ready(status) - is_ready(status_[slot]);
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if (status == SLUICE_FLOW_READY) {
    ready_bits_[slot / 64] |= bit;
  } else {
    ready_bits_[slot / 64] &= ~bit;
  }
  status_[slot] = status;
}

// ---- requests ----

uint64_t ToyBand::park(uint32_t slot, uint64_t cost, uint64_t deadline_ns) {
  ToyRequest request{.seq = ++seq_,
                     .arrival_ns = now_ns,
                     .deadline_ns = deadline_ns,
                     .cost = cost,
                     .bytes = cost * 4,
                     .slot = slot};
  request.key = key_of(request);
  insert(request);
  return request.seq;
}

uint64_t ToyBand::key_of(const ToyRequest& request) {
  if (ordering_ == nullptr) return request.seq;
  const OneRequest row(request);
  const sluice_band band{sizeof(band), 0, 0, 0, now_ns, 0, 0, 0};
  uint64_t key = request.seq;
  const auto* vtable =
      static_cast<const sluice_ordering_v1*>(ordering_->vtable(SLUICE_ORDERING_ID));
  return hot([&] {
    vtable->keys(ordering_->object(), ordering_state_->get(), &row.get(), &band, &key);
    return key;
  });
}

void ToyBand::insert(const ToyRequest& request) {
  auto& queue = queue_[request.slot];
  const uint64_t old_head = queue.empty() ? 0 : queue.begin()->seq;
  queue.insert(request);
  ++parked_[request.slot];
  parked_cost_[request.slot] += request.cost;
  parked_bytes_[request.slot] += request.bytes;
  head_changed(request.slot, old_head);
}

void ToyBand::erase(const ToyRequest& request) {
  auto& queue = queue_[request.slot];
  const uint64_t old_head = queue.begin()->seq;
  queue.erase(request);
  --parked_[request.slot];
  parked_cost_[request.slot] -= request.cost;
  parked_bytes_[request.slot] -= request.bytes;
  head_changed(request.slot, old_head);
}

void ToyBand::head_changed(uint32_t slot, uint64_t old_head) {
  const ToyRequest head = queue_[slot].empty() ? ToyRequest{} : *queue_[slot].begin();
  if (head.seq == old_head) return;
  head_key_[slot] = head.key;
  head_seq_[slot] = head.seq;
  head_arrival_ns_[slot] = head.arrival_ns;
  head_cost_[slot] = head.cost;
  if (head.seq == 0) {
    set_status(slot, SLUICE_FLOW_IDLE);
    tell(SLUICE_EV_IDLE, slot);
  } else if (old_head == 0) {
    set_status(slot, SLUICE_FLOW_READY);
    tell(SLUICE_EV_WAITING, slot);
  } else {
    tell(SLUICE_EV_HEAD, slot);
  }
}

std::optional<ToyRequest> ToyBand::dispatch() {
  const uint32_t slot = pick();
  if (slot == SLUICE_NONE) return std::nullopt;
  const ToyRequest request = *queue_[slot].begin();
  tell(SLUICE_EV_DISPATCHED, slot, static_cast<int64_t>(request.cost), 0, request.seq);
  ++inflight_[slot];
  inflight_cost_[slot] += request.cost;
  served_cost_[slot] += request.cost;
  erase(request);
  return request;
}

uint32_t ToyBand::pick() {
  flush();
  if (view_.ready_count == 0) return SLUICE_NONE;
  const auto* vtable =
      static_cast<const sluice_fairness_v1*>(fairness_->vtable(SLUICE_FAIRNESS_ID));
  uint64_t retry_ns = SLUICE_NEVER;
  const auto ask = [&] {
    return hot([&] {
      return vtable->pick(fairness_->object(), fairness_state_->get(), &flows(), &retry_ns);
    });
  };
  const uint32_t slot = ask();
  EXPECT_EQ(ask(), slot) << "asked twice";
  const bool legal = slot < view_.slots && (ready_bits_[slot / 64] >> (slot % 64) & 1) != 0;
  EXPECT_TRUE(legal) << "picked slot " << slot << ", which is not ready";
  return legal ? slot : SLUICE_NONE;
}

void ToyBand::complete(const ToyRequest& request, uint64_t cost) {
  --inflight_[request.slot];
  inflight_cost_[request.slot] -= request.cost;
  served_cost_[request.slot] += cost - request.cost;
  tell(SLUICE_EV_COMPLETED, request.slot,
       static_cast<int64_t>(cost) - static_cast<int64_t>(request.cost), SLUICE_OUT_COMPLETED,
       request.seq);
}

void ToyBand::requeue(const ToyRequest& request) {
  --inflight_[request.slot];
  inflight_cost_[request.slot] -= request.cost;
  served_cost_[request.slot] -= request.cost;
  tell(SLUICE_EV_COMPLETED, request.slot, -static_cast<int64_t>(request.cost), SLUICE_OUT_REQUEUED,
       request.seq);
  insert(request);
}

void ToyBand::shed_newest(uint32_t slot) {
  ToyRequest newest = *queue_[slot].begin();
  for (const ToyRequest& request : queue_[slot])
    if (request.seq > newest.seq) newest = request;
  tell(SLUICE_EV_SHED, slot, 0, SLUICE_OUT_EVICTED, newest.seq);
  erase(newest);
}

// ---- events ----

void ToyBand::tell(uint32_t type, uint32_t slot, int64_t change, uint16_t outcome, uint64_t seq) {
  if (fairness_ == nullptr || !fairness_->wants(type)) return;
  sluice_event event{};
  event.type = type;
  event.slot = slot;
  event.time_ns = now_ns;
  event.seq = seq;
  event.change = change;
  event.endpoint = SLUICE_NONE;
  event.outcome = outcome;
  events_.push_back(event);
}

void ToyBand::flush() {
  if (events_.empty()) return;
  const auto* vtable =
      static_cast<const sluice_fairness_v1*>(fairness_->vtable(SLUICE_FAIRNESS_ID));
  const sluice_events table{sizeof(table), static_cast<uint32_t>(events_.size()), events_.data()};
  if (vtable->observe != nullptr) {
    hot([&] {
      vtable->observe(fairness_->object(), fairness_state_->get(), &flows(), &table);
      return true;
    });
  }
  events_.clear();
}

OneRequest::OneRequest(const ToyRequest& request, uint32_t prompt_tokens)
    : request_(request), prompt_tokens_(prompt_tokens) {
  table_ = {sizeof(table_),
            1,
            &request_.seq,
            &request_.arrival_ns,
            &request_.deadline_ns,
            &request_.cost,
            &request_.bytes,
            &hash_,
            &hash_,
            &request_.slot,
            &prompt_tokens_,
            &output_expected_,
            &output_max_,
            &cached_tokens_,
            &priority_,
            nullptr,
            nullptr};
}

}  // namespace sluice::testing
