#include "core/flow_table.h"

#include <algorithm>

#include "core/planted.h"

namespace sluice {

FlowTable::FlowTable(uint32_t band, uint32_t capacity) : band_(band), capacity_(capacity) {
  view_.struct_size = sizeof(view_);
  grow(std::min<uint32_t>(capacity_, 64));
}

void FlowTable::set_band(uint32_t rank) {
  band_ = rank;
  for (auto& flow : flows_)
    if (flow) flow->band = rank;
}

Flow* FlowTable::find(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

Flow* FlowTable::add(std::string_view name, uint64_t hash, uint32_t weight_milli) {
  if (free_.empty()) {
    if (view_.slots == capacity_) return nullptr;
    grow(std::min(capacity_, view_.slots * 2));
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  flows_[slot] = std::make_unique<Flow>();
  Flow* flow = flows_[slot].get();
  flow->name = name;
  flow->slot = slot;
  flow->band = band_;
  by_name_.emplace(flow->name, flow);
  ++live_;
  status_[slot] = SLUICE_FLOW_IDLE;
  weight_milli_[slot] = weight_milli;
  hash_[slot] = hash;
  parked_[slot] = inflight_[slot] = 0;
  parked_cost_[slot] = parked_bytes_[slot] = inflight_cost_[slot] = served_cost_[slot] = 0;
  refresh_head(flow);
  return flow;
}

Flow* FlowTable::overflow() {
  if (!flows_[kOverflowSlot]) {
    flows_[kOverflowSlot] = std::make_unique<Flow>();
    flows_[kOverflowSlot]->name = "(overflow)";
    flows_[kOverflowSlot]->band = band_;
    status_[kOverflowSlot] = SLUICE_FLOW_IDLE;
    weight_milli_[kOverflowSlot] = 1000;
    ++live_;
  }
  return flows_[kOverflowSlot].get();
}

void FlowTable::remove(Flow* flow) {
  set_busy(flow);
  const uint32_t slot = flow->slot;
  status_[slot] = SLUICE_FLOW_FREE;
  by_name_.erase(flow->name);
  flows_[slot].reset();
  free_.push_back(slot);
  --live_;
}

bool FlowTable::set_weight(Flow* flow, uint32_t weight_milli) {
  weight_milli = std::clamp<uint32_t>(weight_milli, 1, 1'000'000);
  if (flow->slot == kOverflowSlot || weight_milli_[flow->slot] == weight_milli) return false;
  weight_milli_[flow->slot] = weight_milli;
  return true;
}

void FlowTable::park(Flow* flow, Request* r) {
  flow->parked.push(r);
  // Nearly always the newest; a requeued request finds its old place, nearly always the oldest.
  Request* before = nullptr;
  if (flow->newest != nullptr && flow->newest->id.seq > r->id.seq) {
    before = flow->oldest;
    while (before->id.seq < r->id.seq) before = before->newer;
  }
  r->newer = before;
  r->older = before != nullptr ? before->older : flow->newest;
  (r->newer != nullptr ? r->newer->older : flow->newest) = r;
  (r->older != nullptr ? r->older->newer : flow->oldest) = r;
  ++parked_[flow->slot];
  parked_cost_[flow->slot] += r->cost;
  parked_bytes_[flow->slot] += r->bytes;
}

void FlowTable::unpark(Flow* flow, Request* r) {
  flow->parked.remove(r);
  (r->newer != nullptr ? r->newer->older : flow->newest) = r->older;
  (r->older != nullptr ? r->older->newer : flow->oldest) = r->newer;
  r->older = r->newer = nullptr;
  --parked_[flow->slot];
  parked_cost_[flow->slot] -= r->cost;
  parked_bytes_[flow->slot] -= r->bytes;
}

void FlowTable::rekeyed(Flow* flow) {
  if (!planted(Planted::kStaleKeys)) flow->parked.rebuild();
  refresh_head(flow);
}

void FlowTable::in_flight(Flow* flow, int32_t requests, int64_t cost) {
  inflight_[flow->slot] += static_cast<uint32_t>(requests);
  inflight_cost_[flow->slot] += static_cast<uint64_t>(cost);
}

void FlowTable::set_ready(Flow* flow) {
  const uint32_t slot = flow->slot;
  if (status_[slot] == SLUICE_FLOW_READY) return;
  if (status_[slot] == SLUICE_FLOW_IDLE) ++view_.waiting_count;
  status_[slot] = SLUICE_FLOW_READY;
  ready_bits_[slot / 64] |= uint64_t{1} << (slot % 64);
  ++view_.ready_count;
  flow->blocked = false;
}

void FlowTable::set_blocked(Flow* flow) {
  const uint32_t slot = flow->slot;
  if (status_[slot] != SLUICE_FLOW_READY) return;
  status_[slot] = SLUICE_FLOW_BLOCKED;
  ready_bits_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
  --view_.ready_count;
  flow->blocked = true;
}

void FlowTable::set_waiting_none(Flow* flow) {
  const uint32_t slot = flow->slot;
  if (status_[slot] == SLUICE_FLOW_READY) {
    ready_bits_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    --view_.ready_count;
  }
  if (status_[slot] >= SLUICE_FLOW_BLOCKED) --view_.waiting_count;
  status_[slot] = SLUICE_FLOW_IDLE;
  flow->blocked = false;
}

void FlowTable::refresh_head(Flow* flow) {
  const uint32_t slot = flow->slot;
  const Request* head = flow->head();
  head_key_[slot] = head != nullptr ? head->key : 0;
  head_seq_[slot] = head != nullptr ? head->id.seq : 0;
  head_arrival_ns_[slot] = head != nullptr ? head->arrival_ns : 0;
  head_cost_[slot] = head != nullptr ? head->cost : 0;
}

void FlowTable::set_idle(Flow* flow, TimeNs now) {
  if (flow->idle || flow->slot == kOverflowSlot) return;
  flow->idle = true;
  flow->idle_since = now;
  IdleList& list = idle_[flow->tenant == kNone];
  flow->less_recent = list.newest;
  flow->more_recent = nullptr;
  (list.newest != nullptr ? list.newest->more_recent : list.oldest) = flow;
  list.newest = flow;
}

void FlowTable::set_busy(Flow* flow) {
  if (!flow->idle) return;
  flow->idle = false;
  IdleList& list = idle_[flow->tenant == kNone];
  (flow->less_recent != nullptr ? flow->less_recent->more_recent : list.oldest) = flow->more_recent;
  (flow->more_recent != nullptr ? flow->more_recent->less_recent : list.newest) = flow->less_recent;
  flow->less_recent = flow->more_recent = nullptr;
}

const sluice_flows& FlowTable::view(TimeNs now) {
  view_.now_ns = now;
  return view_;
}

void FlowTable::pretend(uint32_t slot, int32_t requests, int64_t bytes, int64_t cost) {
  parked_[slot] += static_cast<uint32_t>(requests);
  parked_bytes_[slot] += static_cast<uint64_t>(bytes);
  parked_cost_[slot] += static_cast<uint64_t>(cost);
}

void FlowTable::grow(uint32_t slots) {
  const uint32_t before = view_.slots;
  flows_.resize(slots);
  ready_bits_.resize((slots + 63) / 64);
  status_.resize(slots, SLUICE_FLOW_FREE);
  weight_milli_.resize(slots, 1000);
  for (auto* column : {&parked_, &inflight_}) column->resize(slots);
  for (auto* column : {&parked_cost_, &parked_bytes_, &inflight_cost_, &served_cost_, &hash_,
                       &head_key_, &head_seq_, &head_arrival_ns_, &head_cost_})
    column->resize(slots);
  for (uint32_t slot = slots; slot-- > std::max(before, kOverflowSlot + 1);) free_.push_back(slot);
  view_.slots = slots;
  point_view();
}

void FlowTable::point_view() {
  view_.ready_bits = ready_bits_.data();
  view_.status = status_.data();
  view_.weight_milli = weight_milli_.data();
  view_.parked = parked_.data();
  view_.inflight = inflight_.data();
  view_.parked_cost = parked_cost_.data();
  view_.parked_bytes = parked_bytes_.data();
  view_.inflight_cost = inflight_cost_.data();
  view_.served_cost = served_cost_.data();
  view_.hash = hash_.data();
  view_.head_key = head_key_.data();
  view_.head_seq = head_seq_.data();
  view_.head_arrival_ns = head_arrival_ns_.data();
  view_.head_cost = head_cost_.data();
}

}  // namespace sluice
