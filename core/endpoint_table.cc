#include "core/endpoint_table.h"

#include <algorithm>
#include <utility>

#include "core/limits.h"
#include "core/planted.h"

namespace sluice {

EndpointTable::EndpointTable(const AbsentColumns& absent, RoomChanged room_changed,
                             EndpointChanged endpoint_changed)
    : room_changed_(std::move(room_changed)),
      endpoint_changed_(std::move(endpoint_changed)),
      seen_(absent) {}

EndpointTable::Row& EndpointTable::row(uint32_t slot) {
  if (slot >= rows_.size()) {
    rows_.resize(slot + 1);
    in_flight_.resize(slot + 1);
    spare_tokens_.resize(slot + 1);
    // A class may have named the slot before it existed.
    for (uint32_t cls = 0; cls < classes_.size(); ++cls)
      if (classes_[cls].in_use)
        for (uint32_t s = 0; s < rows_.size(); ++s)
          if (classes_[cls].members.contains(s) && std::ranges::count(rows_[s].classes, cls) == 0)
            rows_[s].classes.push_back(cls);
  }
  return rows_[slot];
}

void EndpointTable::set(uint32_t slot, const EndpointLimits& limits, bool up) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) {
    r.report = {};
    r.learner = {};
    r.paused_until = r.pause = 0;
    r.dispatches = 0;
    r.low = r.high = r.low_before = in_flight_[slot];
    r.tokens_asked = r.tokens;
    r.asked_ns = 0;
    r.tokens_short = false;
  }
  const bool flips = r.up != up;
  if (flips) up ? ++up_count_ : --up_count_;
  r.exists = true;
  r.ghost = false;
  r.given = limits;
  r.up = up;
  seen_.outdated();
  refresh_limits(slot);
  if (flips) refresh_derived();
}

void EndpointTable::remove(uint32_t slot) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) return;
  if (r.up) --up_count_;
  r.up = false;
  r.ghost = true;
  if (in_flight_[slot] == 0) r.exists = false;
  seen_.outdated();
  if (!planted(Planted::kGhostHasRoom)) refresh_room(slot);
  refresh_derived();
}

void EndpointTable::report(uint32_t slot, const EndpointReport& report) {
  Row& r = row(slot);
  if (!r.exists || r.ghost) return;
  const bool is_news = report.taken_ns != r.report.taken_ns;
  r.report = report;
  if (report.taken_ns == 0) r.report.waiting = r.report.running = 0, r.report.kv_used = 0;
  seen_.outdated();
  if (!r.given.learn) return;
  count(slot, 0);
  if (report.taken_ns == 0) {
    r.learner.unheard();
  } else if (is_news) {
    // Where a ceiling held work back meanwhile, no endpoint was filled.
    const double share = share_at_ >= r.asked_ns ? share_ : 1;
    r.learner.observe({.now = now_,
                       .waiting = report.waiting,
                       .running = report.running,
                       .kv_used = report.kv_used,
                       .kv_tokens_max = report.kv_tokens_max,
                       .own_low = std::min(r.low, r.low_before),
                       .own_high = r.high,
                       .own_tokens = r.tokens_asked,
                       .asked_ns = r.asked_ns,
                       .tokens_short = r.tokens_short,
                       .share = share},
                      r.given.gateways);
  }
  refresh_limits(slot);
}

void EndpointTable::report_asked(uint32_t slot) {
  Row& r = row(slot);
  count(slot, 0);
  r.low_before = r.low;
  r.low = r.high = in_flight_[slot];
  r.tokens_asked = r.tokens;
  r.asked_ns = now_;
  r.tokens_short = r.earmarked;
}

// Changes what is in flight, and notes what it has been for more than a moment.
void EndpointTable::count(uint32_t slot, int change) {
  Row& r = rows_[slot];
  uint32_t& in_flight = in_flight_[slot];
  if (now_ > r.changed_ns) r.low = std::min(r.low, in_flight);
  r.changed_ns = now_;
  in_flight += static_cast<uint32_t>(change);
  r.high = std::max(r.high, in_flight);
}

// The limits in force, from those given and those learnt, and whether there is room within them.
void EndpointTable::refresh_limits(uint32_t slot) {
  Row& r = rows_[slot];
  const uint32_t requests =
      r.given.learn ? std::min(r.given.requests, r.learner.requests()) : r.given.requests;
  uint64_t tokens = r.given.tokens;
  if (r.given.learn && r.learner.tokens() != 0)
    tokens = tokens != 0 ? std::min(tokens, r.learner.tokens()) : r.learner.tokens();
  if (requests != r.limit || tokens != r.limit_tokens) ++version_;
  r.limit = requests;
  r.limit_tokens = tokens;
  refresh_room(slot);
}

EndpointTable::Room EndpointTable::room_of_pool() const {
  return {unbounded_requests_ == 0 ? serving_.requests : UINT64_MAX,
          unbounded_tokens_ == 0 ? serving_.tokens : UINT64_MAX};
}

// Keeps the sums behind room_of_pool() and in_flight_elsewhere().
void EndpointTable::count_room(uint32_t slot) {
  Row& r = rows_[slot];
  Room serving, elsewhere;
  if (r.exists && r.up && !r.ghost) {
    serving.requests = r.limit != kNone ? r.limit : UINT64_MAX;
    serving.tokens = r.limit_tokens != 0 ? r.limit_tokens : UINT64_MAX;
  } else {
    elsewhere = {in_flight_[slot], r.tokens};
  }
  elsewhere_.requests += elsewhere.requests - r.elsewhere.requests;
  elsewhere_.tokens += elsewhere.tokens - r.elsewhere.tokens;
  r.elsewhere = elsewhere;
  const auto change = [](uint64_t& counted, uint64_t now, uint64_t& sum, uint32_t& unbounded) {
    if (counted == now) return;
    if (counted == UINT64_MAX) {
      --unbounded;
    } else {
      sum -= counted;
    }
    if (now == UINT64_MAX) {
      ++unbounded;
    } else {
      sum += now;
    }
    counted = now;
  };
  change(r.serving.requests, serving.requests, serving_.requests, unbounded_requests_);
  change(r.serving.tokens, serving.tokens, serving_.tokens, unbounded_tokens_);
}

void EndpointTable::take(uint32_t slot, const Load& load) {
  Row& r = rows_[slot];
  count(slot, 1);
  ++r.dispatches;
  r.cost += load.cost;
  r.tokens += load.tokens;
  r.prefilling += load.prefilling;
  refresh_room(slot);
}

void EndpointTable::release(uint32_t slot, const Load& load) {
  Row& r = rows_[slot];
  count(slot, -1);
  r.cost -= load.cost;
  r.tokens -= load.tokens;
  if (planted(Planted::kDoubleRelease)) r.tokens -= load.tokens;
  r.prefilling -= load.prefilling;
  ++version_;
  if (r.ghost && in_flight_[slot] == 0) r.exists = false;
  if (!planted(Planted::kLostWakeUp)) refresh_room(slot);
}

void EndpointTable::move(uint32_t from, uint32_t to, const Load& load) {
  take(to, load);
  --rows_[to].dispatches;
  release(from, load);
}

void EndpointTable::prefilled(uint32_t slot, uint64_t tokens) {
  if (tokens == 0) return;
  if (planted(Planted::kPromptsForgotten)) return;
  rows_[slot].prefilling -= tokens;
  ++version_;
  refresh_room(slot);
}

void EndpointTable::grow(uint32_t slot, uint64_t cost, uint64_t tokens) {
  Row& r = rows_[slot];
  r.cost += cost;
  r.tokens += tokens;
  refresh_room(slot);
}

void EndpointTable::earmark(uint32_t slot, bool on) {
  rows_[slot].earmarked = on;
  if (on) rows_[slot].tokens_short = true;
  refresh_room(slot);
}

void EndpointTable::rejected(uint32_t slot) {
  Row& r = rows_[slot];
  if (!r.exists || r.ghost) return;
  if (r.given.learn) {
    r.learner.rejected(now_, in_flight_[slot]);
    refresh_limits(slot);
  }
  if (r.paused_until > now_ || planted(Planted::kPauseForgotten)) return;
  r.pause = std::clamp(r.pause * 2, kRejectionPauseMinNs, kRejectionPauseMaxNs);
  r.paused_until = now_ + r.pause;
  next_pause_end_ = std::min(next_pause_end_, r.paused_until);
  refresh_room(slot);
}

void EndpointTable::worked(uint32_t slot, uint64_t cost) {
  Row& r = rows_[slot];
  r.pause = 0;
  if (r.given.learn && r.learner.finished(now_, cost, in_flight_[slot], r.given.gateways))
    refresh_limits(slot);
}

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
    refresh_room(slot);
  }
}

bool EndpointTable::open(uint32_t slot) const { return to_be_had(slot) && !prefills(slot); }

// What follows from a row, after it has changed: its columns, its room, and who hears of it.
void EndpointTable::refresh_room(uint32_t slot) {
  Row& r = rows_[slot];
  seen_.set(slot, own(slot));
  const bool bounded = r.limit_tokens != 0 && in_flight_[slot] != 0;
  spare_tokens_[slot] = !bounded                    ? UINT64_MAX
                        : r.limit_tokens > r.tokens ? r.limit_tokens - r.tokens
                                                    : 0;
  if (spare_tokens_[slot] == 0) r.tokens_short = true;
  count_room(slot);
  const bool is_open = open(slot);
  if (r.said_open && !is_open) ++version_;  // it may be what somebody waits for
  if (is_open != r.said_open || r.limit != r.said_limit) {
    r.said_open = is_open;
    r.said_limit = r.limit;
    endpoint_changed_(slot);
  }
  const bool one_more = planted(Planted::kLimitOffByOne) && in_flight_[slot] == r.limit;
  const bool now = is_open && (in_flight_[slot] < r.limit || one_more);
  if (now == room_.contains(slot)) return;
  if (now) {
    ++version_;
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

// What NARROWING leaves of ALL.
EndpointSet EndpointTable::rest_of(const EndpointSet& all, const Narrowing& narrowing) const {
  EndpointSet allowed = all;
  if (narrowing.restricted) {
    allowed.clear();
    for (uint32_t slot : narrowing.only)
      if (all.contains(slot)) allowed.insert(slot);
  }
  EndpointSet rest = allowed;
  for (uint32_t slot : narrowing.excluded) rest.erase(slot);
  bool any = false;
  rest.for_each([&](uint32_t slot) { any |= slot < rows_.size() && rows_[slot].up; });
  return any ? rest : allowed;
}

void EndpointTable::refresh_derived() {
  for (const auto& [key, cls] : derived_)
    set_members(cls, rest_of(classes_[key.first].members, key.second));
}

uint32_t EndpointTable::derive(uint32_t parent, const Narrowing& narrowing) {
  // Also if what is excluded is no member, or nothing of the rest is up and all may be used again:
  // who is not there now may come back.
  if (!narrowing.restricted && narrowing.excluded.empty()) return parent;
  const EndpointSet rest = rest_of(classes_[parent].members, narrowing);
  const auto key = std::make_pair(parent, narrowing);
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
  classes_[cls].narrowing = narrowing;
  derived_.emplace(key, cls);
  set_members(cls, rest);
  if (rest.empty()) changed_.push_back(cls);  // its number may have stood for another set
  return cls;
}

void EndpointTable::drop(uint32_t cls) {
  EligibilityClass& c = classes_[cls];
  if (--c.requests != 0 || c.parent == kNone) return;
  derived_.erase({c.parent, c.narrowing});
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
  if (!seen_.built()) {
    seen_.begin(static_cast<uint32_t>(rows_.size()));
    for (uint32_t slot = 0; slot < rows_.size(); ++slot)
      if (rows_[slot].exists && rows_[slot].up) seen_.add(slot, own(slot), rows_[slot].report, now);
    seen_.end();
  }
  return seen_.view(now);
}

std::vector<EndpointStats> EndpointTable::stats() const {
  std::vector<EndpointStats> all;
  for (uint32_t slot = 0; slot < rows_.size(); ++slot) {
    const Row& r = rows_[slot];
    if (!r.exists) continue;
    all.push_back({.slot = slot,
                   .up = r.up,
                   .ghost = r.ghost,
                   .limit = r.limit,
                   .in_flight = in_flight_[slot],
                   .in_flight_cost = r.cost,
                   .dispatches = r.dispatches,
                   .paused_until_ns = r.paused_until,
                   .limit_tokens = r.limit_tokens,
                   .in_flight_tokens = r.tokens,
                   .limit_prefill_tokens = r.given.prefill_tokens,
                   .prefill_tokens = r.prefilling,
                   .learns = r.given.learn,
                   .doubted = r.learner.doubted(),
                   .earmarked = r.earmarked});
  }
  return all;
}

}  // namespace sluice
