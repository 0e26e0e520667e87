#include "tests/sim/oracle.h"

#include <algorithm>

#include "core/limits.h"

namespace sluice::sim {
Oracle::Request* Oracle::find(RequestId id) {
  if (id.seq == 0 || id.seq > requests_.size()) return nullptr;
  Request& r = requests_[id.seq - 1];
  return r.id == id ? &r : nullptr;
}

// ---- the two clocks, and when a request is due ----

void Oracle::begin(TimeNs now) {
  const TimeNs later = std::max(now, now_);
  (any_up() ? serving_ : empty_) += later - now_;
  now_ = later;
  end_prompts();
  any_up_before_ = any_up();
  parked_before_ = parked_;
  bytes_before_ = bytes_;
  for (Band& band : bands_) {
    band.parked_before = band.parked;
    band.bytes_before = band.bytes;
  }
  for (Slot& slot : slots_) slot.may_not_fall = false;
  ++calls_;
  newcomer_ = 0;
  evicted_ = reclassifies_ = false;
  asked_ = 0;
}

TimeNs Oracle::due(const Request& r) const {
  const auto when = [&](TimeNs deadline, TimeNs reading, bool runs) {
    if (deadline == kNever || (!runs && deadline > reading)) return kNever;
    return deadline <= reading ? now_ : now_ + (deadline - reading);
  };
  return std::min({r.wall_deadline, when(r.serving_deadline, serving_, any_up()),
                   when(r.empty_deadline, empty_, !any_up())});
}

// ---- where a request is ----

void Oracle::park(Request& r) {
  r.state = Request::State::kParked;
  r.parked_since = now_;
  Band& band = bands_[r.band];
  band.flows[r.flow].insert(r.id.seq);
  ++band.parked;
  ++parked_;
  band.bytes += r.bytes;
  bytes_ += r.bytes;
}

void Oracle::unpark(Request& r) {
  Band& band = bands_[r.band];
  band.flows[r.flow].erase(r.id.seq);
  --band.parked;
  --parked_;
  band.bytes -= r.bytes;
  bytes_ -= r.bytes;
}

void Oracle::land(Request& r, uint32_t endpoint) {
  r.state = Request::State::kInFlight;
  r.endpoint = endpoint;
  r.reserved = r.size;
  ++bands_[r.band].in_flight;
  ++slots_[endpoint].in_flight;
  slots_[endpoint].tokens += r.reserved;
  r.prefilling = r.fresh;
  r.prefills_until = slots_[endpoint].limits.prefill_tokens != 0 ? now_ + kPromptMaxNs : kNever;
  slots_[endpoint].prefilling += r.prefilling;
  r.place = static_cast<uint32_t>(in_flight_.size());
  in_flight_.push_back(r.id);
}

// What has taken too long to begin no longer counts.
void Oracle::end_prompts() {
  for (const RequestId id : in_flight_) {
    Request& r = *find(id);
    if (r.prefilling != 0 && r.prefills_until <= now_)
      slots_[r.endpoint].prefilling -= std::exchange(r.prefilling, 0);
  }
}

void Oracle::take_off(Request& r) {
  --bands_[r.band].in_flight;
  --slots_[r.endpoint].in_flight;
  slots_[r.endpoint].tokens -= r.reserved;
  slots_[r.endpoint].prefilling -= r.prefilling;
  in_flight_[r.place] = in_flight_.back();
  find(in_flight_[r.place])->place = r.place;
  in_flight_.pop_back();
}

void Oracle::end(Request& r, Outcome outcome) {
  if (r.state == Request::State::kParked) unpark(r);
  if (r.state == Request::State::kInFlight) take_off(r);
  if (options_.books != nullptr) served_[r.band][r.flow] += options_.books->charged(r.id.seq);
  r.state = Request::State::kOver;
  ++outcomes_[static_cast<size_t>(outcome)];
  if (const auto it = must_end_.find(r.id.seq); it != must_end_.end()) {
    if (it->second != outcome)
      fail("#", r.id.seq, " ended as ", to_string(outcome), " and not as ", to_string(it->second));
    must_end_.erase(it);
  }
}

uint32_t Oracle::members(const Request& r) const {
  return r.cls < kClasses ? classes_[r.cls] & r.only.value_or(~0u) : 0;
}

uint64_t Oracle::parked_of_tenant(uint32_t tenant) const {
  uint64_t n = 0;
  for (const Band& band : bands_)
    for (uint32_t flow = 0; flow < kFlows; ++flow)
      if (band.tenants[flow] == tenant) n += band.flows[flow].size();
  return n;
}

// ---- what the engine was told: requests ----

void Oracle::submitted(RequestId id, const Submission& s, uint32_t flow) {
  if (id.seq != requests_.size() + 1)
    fail("a submission was numbered ", id.seq, " after ", requests_.size());
  Request& r = requests_.emplace_back();
  r.id = id;
  newcomer_ = id.seq;
  const auto past = std::ranges::find(generations_, s.generation, &Generation::number);
  const bool current = s.generation == pipeline_.generation;
  const std::vector<uint32_t> none;
  const bool known = current || past != generations_.end();
  const std::vector<uint32_t>& bands = current ? ranks_ : known ? past->bands : none;
  const std::vector<uint32_t>& tenants = current ? tenants_ : known ? past->tenants : none;
  r.band = s.band < bands.size() ? bands[s.band] : ranks_[pipeline_.default_band];
  r.flow = flow;
  r.cls = s.eligible;
  r.bytes = s.bytes;
  r.prompt = s.prompt_tokens;
  r.size = uint64_t{s.prompt_tokens} + s.output_expected;
  if (s.streams && s.prefix.empty() && !options_.guesses) r.fresh = s.prompt_tokens;
  if (draining_) {
    r.state = Request::State::kRefused;
    must_end_[id.seq] = Outcome::kRejectedDraining;
    return;
  }
  if (s.only) {
    r.only = 0;
    for (const uint32_t slot : *s.only)
      if (slot < kSlots) *r.only |= bit(slot) & classes_[r.cls];
    if ((*r.only & up_) == 0) {
      r.state = Request::State::kRefused;
      must_end_[id.seq] = Outcome::kRejectedNoEndpoint;
      return;
    }
  }
  Band& band = bands_[r.band];
  band.tenants[flow] = s.tenant < tenants.size() ? tenants[s.tenant] : kNone;
  if (band.config.ttl_ns != 0) r.serving_deadline = serving_ + band.config.ttl_ns;
  if (band.config.no_endpoint_ttl_ns != 0)
    r.empty_deadline = empty_ + band.config.no_endpoint_ttl_ns;
  r.wall_deadline = s.wall_deadline_ns;
  park(r);
}

void Oracle::cancelled(RequestId id, Engine::Cancel said) {
  Request* r = find(id);
  Engine::Cancel expected = Engine::Cancel::kUnknown;
  if (live(r) && r->state == Request::State::kInFlight) expected = Engine::Cancel::kInFlight;
  if (live(r) && r->state == Request::State::kParked && due(*r) > now_)
    expected = Engine::Cancel::kEnded;
  if (said != expected) return fail("cancel of #", id.seq, " was told a wrong state");
  if (said == Engine::Cancel::kEnded) end(*r, Outcome::kCancelled);
}

void Oracle::progressed(RequestId id, uint32_t output_events) {
  Request* r = find(id);
  if (!live(r) || r->state != Request::State::kInFlight) return;
  const uint64_t reserved = std::max(r->reserved, r->prompt + output_events);
  slots_[r->endpoint].tokens += reserved - r->reserved;
  if (output_events != 0) slots_[r->endpoint].prefilling -= std::exchange(r->prefilling, 0);
  r->reserved = reserved;
}

void Oracle::completed(RequestId id, bool said, const Completion& c) {
  Request* r = find(id);
  const bool in_flight = live(r) && r->state == Request::State::kInFlight;
  if (said != in_flight) return fail("complete of #", id.seq, " was told a wrong state");
  if (!in_flight) return;
  check_final_charge(*r, c);
  if (c.was_full) {
    rejected(r->endpoint);
  } else if (c.outcome == Outcome::kCompleted) {
    slots_[r->endpoint].pause = 0;
  }
  end(*r, c.outcome);
}

void Oracle::requeued(RequestId id, bool said, Engine::Requeue why) {
  Request* r = find(id);
  const bool in_flight = live(r) && r->state == Request::State::kInFlight;
  if (said != in_flight) return fail("requeue of #", id.seq, " was told a wrong state");
  if (!in_flight) return;
  if (r->revoked) return end(*r, Outcome::kRevoked);
  ++requeues_;
  take_off(*r);
  if (why == Engine::Requeue::kBroken) r->broken |= bit(r->endpoint);
  if (why == Engine::Requeue::kRejected) rejected(r->endpoint);
  park(*r);
  if (drained_) {
    must_end_[id.seq] = Outcome::kDrained;
  } else if (r->cls == kNone) {
    must_end_[id.seq] = Outcome::kRejectedUnknownModel;
  }
}

void Oracle::served_by(RequestId id, bool said, uint32_t slot) {
  Request* r = find(id);
  const bool moves = live(r) && r->state == Request::State::kInFlight &&
                     (slots_[slot].exists || slots_[slot].in_flight != 0);
  if (said != moves) return fail("served_by of #", id.seq, " was told a wrong state");
  if (!moves || r->endpoint == slot) return;
  --slots_[r->endpoint].in_flight;
  slots_[r->endpoint].tokens -= r->reserved;
  slots_[r->endpoint].prefilling -= r->prefilling;
  r->endpoint = slot;
  ++slots_[slot].in_flight;
  slots_[slot].tokens += r->reserved;
  slots_[slot].prefilling += r->prefilling;
}

// ---- what the engine was told: endpoints ----

void Oracle::endpoint_set(uint32_t slot, const EndpointLimits& limits, bool up) {
  Slot& s = slots_[slot];
  if (!s.exists) s.paused_until = s.pause = 0;
  s.exists = true;
  s.up = up;
  s.limits = limits;
  up_ = up ? up_ | bit(slot) : up_ & ~bit(slot);
}

void Oracle::endpoint_removed(uint32_t slot) {
  slots_[slot].exists = slots_[slot].up = false;
  up_ &= ~bit(slot);
}

void Oracle::rejected(uint32_t slot) {
  Slot& s = slots_[slot];
  if (!s.exists || left_alone(slot)) return;
  s.pause = std::clamp(s.pause * 2, kRejectionPauseMinNs, kRejectionPauseMaxNs);
  s.paused_until = now_ + s.pause;
}

void Oracle::reported(uint32_t slot, const EndpointReport& report) {
  Slot& s = slots_[slot];
  s.may_not_fall = compared_ + 1 == calls_ && s.exists && report.taken_ns != 0 &&
                   report.waiting == 0 && report.running >= s.in_flight;
}

void Oracle::class_set(ClassId id, const std::vector<uint32_t>& members) {
  classes_[id] = 0;
  for (const uint32_t slot : members) classes_[id] |= bit(slot);
}

void Oracle::reclassified(RequestId id, ClassId current, std::optional<ClassId> next) {
  ++asked_;
  Request* r = find(id);
  if (!live(r)) return fail("#", id.seq, " is over and was asked about its class");
  if (r->cls != current) fail("#", id.seq, " was taken for one of class ", current);
  r->cls = next.value_or(kNone);
  if (r->state == Request::State::kParked && !next)
    must_end_[id.seq] = Outcome::kRejectedUnknownModel;
}

// ---- what the engine was told: its configuration ----

void Oracle::reconfigured(const Pipeline& next) {
  // Numbers of older pipelines are read by name, or fall to the default band and to no tenant.
  std::vector<uint32_t> ranks, tenants;
  for (const BandConfig& band : next.bands) ranks.push_back(index_of(kBandNames, band.name));
  for (const TenantConfig& tenant : next.tenants)
    tenants.push_back(index_of(kTenantNames, tenant.name));
  const uint32_t fallback = ranks[next.default_band];
  const bool first = ranks_.empty();
  if (!first) generations_.push_back({pipeline_.generation, ranks_, tenants_});
  if (generations_.size() > kGenerationsKept) generations_.pop_front();
  for (Generation& past : generations_) {
    for (uint32_t& band : past.bands)
      if (std::ranges::count(ranks, band) == 0) band = fallback;
    for (uint32_t& tenant : past.tenants)
      if (std::ranges::count(tenants, tenant) == 0) tenant = kNone;
  }
  ranks_ = ranks;
  tenants_ = tenants;
  pipeline_ = next;
  std::array<bool, kBands> gone{};
  for (uint32_t band = 0; band < kBands; ++band) {
    const auto rank = std::ranges::find(ranks, band) - ranks.begin();
    gone[band] = static_cast<size_t>(rank) == ranks.size();
    bands_[band].in_use = !gone[band];
    if (!gone[band]) bands_[band].config = next.bands[static_cast<size_t>(rank)];
    for (uint32_t& tenant : bands_[band].tenants)
      if (std::ranges::count(tenants, tenant) == 0) tenant = kNone;
  }
  move_bands(gone, fallback);
}

void Oracle::move_bands(const std::array<bool, kBands>& gone, uint32_t to) {
  for (Request& r : requests_) {
    if (!live(&r) || !gone[r.band]) continue;
    bands_[to].tenants[r.flow] = bands_[r.band].tenants[r.flow];
    if (r.state == Request::State::kParked) {
      const TimeNs since = r.parked_since;
      unpark(r);
      r.band = to;
      park(r);
      r.parked_since = since;
    } else {
      --bands_[r.band].in_flight;
      r.band = to;
      ++bands_[to].in_flight;
    }
  }
}

void Oracle::policy_released(const std::string& name) {
  for (auto& [key, faults] : faults_)
    if (key.ends_with(" " + name)) faults.recent.clear();
}

void Oracle::drained(bool at_once) {
  draining_ = true;
  if (!at_once) return;
  drained_ = true;
  for (const Request& r : requests_)
    if (r.state == Request::State::kParked && due(r) > now_)
      must_end_[r.id.seq] = Outcome::kDrained;
}

// ---- what it did ----

void Oracle::decided(const Decision& d) {
  Request* r = find(d.id);
  if (!live(r)) return fail("#", d.id.seq, " is over, or never was, and was decided upon again");
  switch (d.kind) {
    case Decision::Kind::kDispatch:
      return dispatched(*r, d);
    case Decision::Kind::kEnd:
      return ended(*r, d);
    case Decision::Kind::kRevoke:
      if (!drained_ || r->state != Request::State::kInFlight || r->revoked)
        fail("#", d.id.seq, " was revoked twice, or without need");
      if (d.endpoint != r->endpoint) fail("#", d.id.seq, " was revoked at another endpoint");
      r->revoked = true;
  }
}

void Oracle::dispatched(Request& r, const Decision& d) {
  const auto who = [&] { return "#" + std::to_string(r.id.seq) + " was dispatched "; };
  if (r.state != Request::State::kParked) return fail(who(), "and was not parked");
  if (d.endpoint >= kSlots) return fail(who(), "to endpoint ", d.endpoint);
  if (due(r) <= now_) fail(who(), "after its deadline");
  if (d.attempt != ++r.attempt) fail(who(), "as attempt ", d.attempt, ", not ", r.attempt);
  r.parked_before += now_ - r.parked_since;
  if (d.parked_ns != r.parked_before)
    fail(who(), "after ", r.parked_before, " ns and it was said ", d.parked_ns);
  check_place(r, d);
  check_ceiling(r);
  const Band& band = bands_[r.band];
  const bool by_arrival =
      band.config.ordering == nullptr || band.config.ordering->name() == "sluice/fcfs";
  if (by_arrival && !options_.overflow && *band.flows[r.flow].begin() != r.id.seq)
    fail(who(), "before #", *band.flows[r.flow].begin(), " of its flow");
  unpark(r);
  land(r, d.endpoint);
  ++dispatches_;
}

void Oracle::check_place(const Request& r, const Decision& d) {
  const auto to = [&] {
    return "#" + std::to_string(r.id.seq) + " was dispatched to endpoint " +
           std::to_string(d.endpoint) + ", which ";
  };
  const Slot& slot = slots_[d.endpoint];
  const uint32_t allowed = members(r);
  if (!slot.up) return fail(to(), "is down");
  if ((allowed & bit(d.endpoint)) == 0) fail(to(), "it may not use");
  if ((r.broken & bit(d.endpoint)) != 0 && (allowed & up_ & ~r.broken) != 0)
    fail(to(), "broke under it");
  if (slot.in_flight >= slot.limits.requests)
    fail(to(), "has ", slot.in_flight, " in flight of ", slot.limits.requests);
  if (!options_.guesses && slot.limits.tokens != 0 && slot.in_flight != 0 &&
      slot.tokens + r.size > slot.limits.tokens)
    fail(to(), "has ", slot.tokens, " tokens in flight of ", slot.limits.tokens);
  if (slot.limits.prefill_tokens != 0 && slot.prefilling >= slot.limits.prefill_tokens)
    fail(to(), "has ", slot.prefilling, " tokens of prompts of ", slot.limits.prefill_tokens);
  if (left_alone(d.endpoint)) fail(to(), "is to be left alone");
  if (!pipeline_.ranks) {
    if (!d.ranked.empty()) fail(to(), "was ranked unasked");
    return;
  }
  if (d.ranked.empty() || d.ranked.front().endpoint != d.endpoint)
    return fail(to(), "is not the first of those ranked");
  uint32_t seen = 0;
  for (const Ranked& ranked : d.ranked) {
    if ((seen & bit(ranked.endpoint)) != 0) fail(to(), "stands beside one ranked twice");
    seen |= bit(ranked.endpoint);
  }
  if ((seen & ~(allowed & up_)) != 0) fail(to(), "stands beside one that it may not use");
}

// The band's share of the pool, where limits are given and not learnt.
void Oracle::check_ceiling(const Request& r) {
  const double ceiling = bands_[r.band].config.ceiling;
  if (ceiling >= 1) return;
  uint64_t room = 0, elsewhere = 0, taken = 0;
  for (const Slot& slot : slots_) {
    if (!slot.up) elsewhere += slot.in_flight;
    if (!slot.up) continue;
    if (slot.limits.learn || slot.limits.requests == kNone) return;
    room += slot.limits.requests;
  }
  for (uint32_t band = r.band; band < kBands; ++band) taken += bands_[band].in_flight;
  const auto most = static_cast<uint64_t>(ceiling * static_cast<double>(room));
  if (taken != 0 && taken >= elsewhere + std::max<uint64_t>(most, 1))
    fail("#", r.id.seq, " was dispatched although its band and those below have ", taken,
         " in flight of ", most);
}

void Oracle::ended(Request& r, const Decision& d) {
  const auto who = [&] {
    return "#" + std::to_string(r.id.seq) + " ended as " + to_string(d.outcome) + " ";
  };
  if (d.retry_after_s < kRetryAfterMinSeconds || d.retry_after_s > kRetryAfterMaxSeconds)
    fail(who(), "to be tried again after ", d.retry_after_s, " s");
  if (r.state == Request::State::kRefused) return end(r, d.outcome);
  if (r.state != Request::State::kParked) return fail(who(), "and was not parked");
  const TimeNs waited = r.parked_before + (now_ - r.parked_since);
  if (d.parked_ns != waited) fail(who(), "after ", waited, " ns and it was said ", d.parked_ns);
  const bool is_due = due(r) <= now_;
  const bool newcomer = r.id.seq == newcomer_;
  const Request& other = newcomer_ != 0 ? requests_[newcomer_ - 1] : r;
  switch (d.outcome) {
    case Outcome::kExpired:
      if (!is_due || !any_up_before_) fail(who(), "before its time, or without an endpoint");
      break;
    case Outcome::kRejectedNoEndpoint:
      if (any_up_before_) fail(who(), "although there was an endpoint");
      if (!is_due && newcomer) check_full(r, d.reason);
      if (!is_due && !newcomer) fail(who(), "before its time");
      break;
    case Outcome::kRejectedFull:
      if (!newcomer) fail(who(), "long after it came");
      if (evicted_) fail(who(), "although others were evicted for it");
      check_full(r, d.reason);
      break;
    case Outcome::kEvicted:
      evicted_ = true;
      if (newcomer || newcomer_ == 0) fail(who(), "for nobody");
      if (d.reason == Reason::kEvictedPressure ? r.band != other.band : r.band <= other.band)
        fail(who(), "of band ", kBandNames[r.band], " for one of ", kBandNames[other.band]);
      break;
    case Outcome::kDrained:
    case Outcome::kRejectedUnknownModel:
      if (!must_end_.contains(r.id.seq)) fail(who(), "without need");
      break;
    default:
      fail(who(), "and such an end is not for what is parked");
  }
  end(r, d.outcome);
}

// The newcomer R is turned away: it must have been one too many.
void Oracle::check_full(const Request& r, Reason reason) {
  const Band& band = bands_[r.band];
  const auto over = [](uint64_t value, uint64_t limit) { return limit != 0 && value > limit; };
  const uint32_t tenant = band.tenants[r.flow];
  const bool flow = over(band.flows[r.flow].size(), band.config.requests_per_flow_max);
  bool of_tenant = false;
  for (size_t i = 0; i < tenants_.size() && tenant != kNone; ++i)
    if (tenants_[i] == tenant)
      of_tenant = over(parked_of_tenant(tenant), pipeline_.tenants[i].requests_max);
  const bool queue =
      over(band.parked, band.config.requests_max) || over(parked_, pipeline_.requests_max);
  const bool bytes = over(band.bytes, band.config.bytes_max) || over(bytes_, pipeline_.bytes_max);
  if (reason == Reason::kFlowFull && !flow && !of_tenant && !options_.overflow)
    fail("#", r.id.seq, " was refused for its flow's limit, which it met not");
  if (reason == Reason::kQueueFull && !queue)
    fail("#", r.id.seq, " was refused for a limit of requests, which it met not");
  if (reason == Reason::kBytesFull && (!bytes || queue))
    fail("#", r.id.seq, " was refused for a limit of bytes, which it met not");
  if (reason == Reason::kNone && !queue && !bytes)
    fail("#", r.id.seq, " was refused for want of endpoints, though there was room to park");
}

// The newcomer has been let in: no limit that held before may be exceeded now.
void Oracle::check_newcomer() {
  if (newcomer_ == 0 || requests_[newcomer_ - 1].state != Request::State::kParked) return;
  const Request& r = requests_[newcomer_ - 1];
  const Band& band = bands_[r.band];
  const auto check = [&](const char* what, uint64_t value, uint64_t limit, uint64_t before) {
    if (limit != 0 && value > std::max(limit, before))
      fail("#", newcomer_, " was let in and now there are ", value, " ", what, ", of at most ",
           limit);
  };
  check("requests in its band", band.parked, band.config.requests_max, band.parked_before);
  check("bytes in its band", band.bytes, band.config.bytes_max, band.bytes_before);
  check("requests in all", parked_, pipeline_.requests_max, parked_before_);
  check("bytes in all", bytes_, pipeline_.bytes_max, bytes_before_);
  if (options_.overflow) return;
  check("requests in its flow", band.flows[r.flow].size(), band.config.requests_per_flow_max, 0);
  for (size_t i = 0; i < tenants_.size(); ++i)
    if (tenants_[i] == band.tenants[r.flow])
      check("requests of its tenant", parked_of_tenant(tenants_[i]),
            pipeline_.tenants[i].requests_max, 0);
}

// R is over and the engine has settled what it cost.
void Oracle::check_final_charge(const Request& r, const Completion& c) {
  if (options_.books == nullptr) return;
  const int64_t charged = options_.books->charged(r.id.seq);
  if (charged < 0) fail("#", r.id.seq, " was charged less than nothing");
  int64_t cost = charged;
  if (c.has_usage) {
    const uint32_t cached = std::min(c.cached_tokens, c.prompt_tokens);
    cost = static_cast<int64_t>((c.prompt_tokens - cached) + cached * pipeline_.cost.cached +
                                c.output_tokens * pipeline_.cost.output + 0.5);
  }
  if (c.made_nothing) cost = 0;
  if (charged != cost) fail("#", r.id.seq, " cost ", cost, " and was charged ", charged);
}

void Oracle::settled(const Engine& engine) {
  check_newcomer();
  if (options_.books != nullptr && !options_.books->wrong().empty()) fail(options_.books->wrong());
  if (!must_end_.empty()) fail("#", must_end_.begin()->first, " should have ended");
  must_end_.clear();
  if (reclassifies_) {
    const uint64_t live_now = parked_ + in_flight_.size();
    if (asked_ < live_now) fail("only ", asked_, " of ", live_now, " were asked for their class");
  }
  if (engine.next_deadline() <= now_) fail("advance() would be called again and again");
}

}  // namespace sluice::sim
