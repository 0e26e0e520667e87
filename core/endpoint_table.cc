#include "core/endpoint_table.h"

#include <algorithm>
#include <utility>

#include "core/limits.h"

namespace sluice {

EndpointTable::EndpointTable(const AbsentColumns& absent, RoomChanged room_changed,
                             EndpointChanged endpoint_changed)
    : absent_(absent),
      room_changed_(std::move(room_changed)),
      endpoint_changed_(std::move(endpoint_changed)) {
  view_.struct_size = sizeof(view_);
}

EndpointTable::Row& EndpointTable::row(uint32_t slot) {
  if (slot >= rows_.size()) {
    rows_.resize(slot + 1);
    row_of_.resize(slot + 1, kNone);
    // A class may have named the slot before it existed.
    for (uint32_t cls = 0; cls < classes_.size(); ++cls)
      if (classes_[cls].in_use)
        for (uint32_t s = 0; s < rows_.size(); ++s)
          if (classes_[cls].members.contains(s) && std::ranges::count(rows_[s].classes, cls) == 0)
            rows_[s].classes.push_back(cls);
  }
  return rows_[slot];
}

void EndpointTable::set(uint32_t slot, uint32_t limit, bool up) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) {
    r.report = {};
    r.paused_until = r.pause = 0;
    r.dispatches = 0;
  }
  const bool flips = r.up != up;
  if (flips) up ? ++up_count_ : --up_count_;
  r.exists = true;
  r.ghost = false;
  r.limit = limit;
  r.up = up;
  rows_stale_ = true;
  endpoint_changed_(slot);
  refresh_room(slot);
  if (flips) refresh_derived();
}

void EndpointTable::remove(uint32_t slot) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) return;
  if (r.up) --up_count_;
  r.up = false;
  r.ghost = true;
  if (r.in_flight == 0) r.exists = false;
  rows_stale_ = true;
  endpoint_changed_(slot);
  refresh_room(slot);
  refresh_derived();
}

void EndpointTable::report(uint32_t slot, const EndpointReport& report) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) return;
  r.report = report;
  if (report.taken_ns == 0) r.report.waiting = r.report.running = 0, r.report.kv_used = 0;
  rows_stale_ = true;
}

void EndpointTable::take(uint32_t slot, uint64_t cost) {
  Row& r = rows_[slot];
  ++r.in_flight;
  ++r.dispatches;
  r.cost += cost;
  if (!rows_stale_ && row_of_[slot] != kNone) {
    inflight_[row_of_[slot]] = r.in_flight;
    inflight_cost_[row_of_[slot]] = r.cost;
  }
  refresh_room(slot);
}

void EndpointTable::release(uint32_t slot, uint64_t cost) {
  Row& r = rows_[slot];
  --r.in_flight;
  r.cost -= cost;
  if (r.ghost && r.in_flight == 0) r.exists = false;
  if (!rows_stale_ && row_of_[slot] != kNone) {
    inflight_[row_of_[slot]] = r.in_flight;
    inflight_cost_[row_of_[slot]] = r.cost;
  }
  refresh_room(slot);
}

void EndpointTable::charge(uint32_t slot, int64_t change) {
  Row& r = rows_[slot];
  r.cost += static_cast<uint64_t>(change);
  if (!rows_stale_ && row_of_[slot] != kNone) inflight_cost_[row_of_[slot]] = r.cost;
}

void EndpointTable::pause(uint32_t slot, TimeNs now) {
  Row& r = rows_[slot];
  if (!r.exists || r.ghost || r.paused_until > now) return;
  r.pause = std::clamp(r.pause * 2, kRejectionPauseMinNs, kRejectionPauseMaxNs);
  r.paused_until = now + r.pause;
  next_pause_end_ = std::min(next_pause_end_, r.paused_until);
  endpoint_changed_(slot);
  refresh_room(slot);
}

void EndpointTable::worked(uint32_t slot) { rows_[slot].pause = 0; }

void EndpointTable::end_pauses(TimeNs now) {
  if (now < next_pause_end_) return;
  next_pause_end_ = kNever;
  for (uint32_t slot = 0; slot < rows_.size(); ++slot) {
    Row& r = rows_[slot];
    if (r.paused_until == 0) continue;
    if (r.paused_until > now) {
      next_pause_end_ = std::min(next_pause_end_, r.paused_until);
      continue;
    }
    r.paused_until = 0;
    endpoint_changed_(slot);
    refresh_room(slot);
  }
}

bool EndpointTable::open(uint32_t slot) const {
  const Row& r = rows_[slot];
  return r.exists && r.up && !r.ghost && r.paused_until == 0;
}

void EndpointTable::refresh_room(uint32_t slot) {
  const Row& r = rows_[slot];
  const bool now = open(slot) && r.in_flight < r.limit;
  if (now == room_.contains(slot)) return;
  if (now) {
    room_.insert(slot);
    for (uint32_t cls : r.classes)
      if (classes_[cls].rooms++ == 0) room_changed_(cls, true);
  } else {
    room_.erase(slot);
    for (uint32_t cls : r.classes)
      if (--classes_[cls].rooms == 0) room_changed_(cls, false);
  }
}

uint32_t EndpointTable::class_of(ClassId id) {
  if (id >= by_id_.size()) by_id_.resize(id + 1, kNone);
  if (by_id_[id] == kNone) {
    by_id_[id] = static_cast<uint32_t>(classes_.size());
    classes_.emplace_back();
    classes_.back().in_use = true;
    changed_.push_back(by_id_[id]);
  }
  return by_id_[id];
}

void EndpointTable::define(ClassId id, const std::vector<uint32_t>& members) {
  const uint32_t cls = class_of(id);
  EndpointSet set;
  for (uint32_t slot : members)
    if (slot < kEndpointsMax) set.insert(slot);
  set_members(cls, set);
  refresh_derived();
}

// What is left of ALL without EXCLUDED; ALL itself if nothing of the rest is up.
EndpointSet EndpointTable::rest_of(const EndpointSet& all,
                                   const std::vector<uint32_t>& excluded) const {
  EndpointSet rest = all;
  for (uint32_t slot : excluded) rest.erase(slot);
  bool any = false;
  rest.for_each([&](uint32_t slot) { any |= slot < rows_.size() && rows_[slot].up; });
  return any ? rest : all;
}

void EndpointTable::refresh_derived() {
  for (const auto& [key, cls] : derived_)
    set_members(cls, rest_of(classes_[key.first].members, key.second));
}

uint32_t EndpointTable::derive(uint32_t parent, std::vector<uint32_t> excluded) {
  std::ranges::sort(excluded);
  // Also if nothing of the rest is up and all may be used again: what is down may come back.
  if (std::ranges::none_of(excluded,
                           [&](uint32_t s) { return classes_[parent].members.contains(s); }))
    return parent;
  const EndpointSet rest = rest_of(classes_[parent].members, excluded);
  const auto key = std::make_pair(parent, excluded);
  if (auto it = derived_.find(key); it != derived_.end()) return it->second;
  uint32_t cls = static_cast<uint32_t>(classes_.size());
  if (free_classes_.empty()) {
    classes_.emplace_back();
  } else {
    cls = free_classes_.back();
    free_classes_.pop_back();
    classes_[cls] = {};
  }
  classes_[cls].in_use = true;
  classes_[cls].parent = parent;
  classes_[cls].excluded = std::move(excluded);
  derived_.emplace(key, cls);
  set_members(cls, rest);
  return cls;
}

void EndpointTable::drop(uint32_t cls) {
  EligibilityClass& c = classes_[cls];
  if (--c.requests != 0 || c.parent == kNone) return;
  derived_.erase({c.parent, c.excluded});
  for (Row& r : rows_) std::erase(r.classes, cls);
  c = {};
  free_classes_.push_back(cls);
}

void EndpointTable::set_members(uint32_t cls, const EndpointSet& members) {
  EligibilityClass& c = classes_[cls];
  if (c.members == members) return;
  for (Row& r : rows_) std::erase(r.classes, cls);
  c.members = members;
  members.for_each([&](uint32_t slot) {
    if (slot < rows_.size()) rows_[slot].classes.push_back(cls);
  });
  changed_.push_back(cls);
  const uint32_t before = std::exchange(c.rooms, members.count_in(room_));
  if ((before == 0) != (c.rooms == 0)) room_changed_(cls, c.rooms != 0);
}

std::vector<uint32_t> EndpointTable::take_changed() { return std::exchange(changed_, {}); }

const sluice_endpoints& EndpointTable::view(TimeNs now) {
  if (rows_stale_) rebuild_rows();
  for (uint32_t i = 0; i < view_.count; ++i) {
    const Row& r = rows_[slot_[i]];
    metrics_age_ns_[i] =
        r.report.taken_ns != 0 ? now - std::min(now, r.report.taken_ns) : SLUICE_NEVER;
  }
  return view_;
}

void EndpointTable::rebuild_rows() {
  for (auto* c : {&slot_, &inflight_, &limit_, &waiting_, &running_}) c->clear();
  for (auto* c : {&inflight_cost_, &kv_tokens_max_, &metrics_age_ns_}) c->clear();
  kv_used_.clear();
  ints_.resize(absent_.ints.size());
  floats_.resize(absent_.floats.size());
  for (auto& c : ints_) c.clear();
  for (auto& c : floats_) c.clear();
  for (uint32_t slot = 0; slot < rows_.size(); ++slot) {
    const Row& r = rows_[slot];
    row_of_[slot] = kNone;
    if (!r.exists || !r.up) continue;
    row_of_[slot] = static_cast<uint32_t>(slot_.size());
    slot_.push_back(slot);
    inflight_.push_back(r.in_flight);
    limit_.push_back(r.limit);
    waiting_.push_back(r.report.waiting);
    running_.push_back(r.report.running);
    inflight_cost_.push_back(r.cost);
    kv_tokens_max_.push_back(r.report.kv_tokens_max);
    metrics_age_ns_.push_back(0);
    kv_used_.push_back(r.report.kv_used);
    for (size_t k = 0; k < ints_.size(); ++k)
      ints_[k].push_back(k < r.report.ints.size() ? r.report.ints[k] : absent_.ints[k]);
    for (size_t k = 0; k < floats_.size(); ++k)
      floats_[k].push_back(k < r.report.floats.size() ? r.report.floats[k] : absent_.floats[k]);
  }
  int_columns_.clear();
  for (const auto& c : ints_) int_columns_.push_back(c.data());
  float_columns_.clear();
  for (const auto& c : floats_) float_columns_.push_back(c.data());
  view_.count = static_cast<uint32_t>(slot_.size());
  view_.slot = slot_.data();
  view_.inflight = inflight_.data();
  view_.limit = limit_.data();
  view_.waiting = waiting_.data();
  view_.running = running_.data();
  view_.inflight_cost = inflight_cost_.data();
  view_.kv_tokens_max = kv_tokens_max_.data();
  view_.metrics_age_ns = metrics_age_ns_.data();
  view_.kv_used = kv_used_.data();
  view_.ints = int_columns_.data();
  view_.floats = float_columns_.data();
  rows_stale_ = false;
}

std::vector<EndpointStats> EndpointTable::stats() const {
  std::vector<EndpointStats> all;
  for (uint32_t slot = 0; slot < rows_.size(); ++slot) {
    const Row& r = rows_[slot];
    if (!r.exists) continue;
    all.push_back(
        {slot, r.up, r.ghost, r.limit, r.in_flight, r.cost, r.dispatches, r.paused_until});
  }
  return all;
}

}  // namespace sluice
