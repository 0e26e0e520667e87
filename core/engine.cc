#include "core/engine.h"

#include <algorithm>
#include <utility>

#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Engine::Impl::Impl(Pipeline first, uint64_t seed_value, TimeNs now)
    : pipeline(std::move(first)),
      seed(seed_value),
      now_ns(now),
      random(planted(Planted::kDrawsByAddress) ? reinterpret_cast<uintptr_t>(this) : seed_value),
      endpoints(
          pipeline.endpoint_absent,
          [this](uint32_t cls, bool has_room) { room_changed(cls, has_room); },
          [this](uint32_t slot) { log_endpoint(slot); }),
      clocks(now),
      deadlines(clocks),
      prefixes(kPrefixBlocksPerEndpoint),
      rows(pipeline.request_absent),
      newcomer_row(pipeline.request_absent) {}

Result<std::unique_ptr<Engine>> Engine::create(Pipeline pipeline, uint64_t seed, TimeNs now) {
  auto impl = std::make_unique<Impl>(Pipeline{}, seed, now);
  if (Result<void> opened = impl->reconfigure(std::move(pipeline)); !opened)
    return Error{opened.error()};
  impl->generations.clear();  // nothing was ever read from the empty pipeline
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

// ---- requests ----

std::optional<std::vector<uint32_t>> Engine::Impl::allowed_of(const Submission& s) {
  if (!s.only) return std::nullopt;
  const EndpointSet& members = endpoints.at(endpoints.class_of(s.eligible)).members;
  std::vector<uint32_t> allowed;
  bool any_up = false;
  for (const uint32_t slot : *s.only) {
    if (slot >= kEndpointsMax || !members.contains(slot)) continue;
    allowed.push_back(slot);
    any_up |= endpoints.is_up(slot);
  }
  if (!any_up) return std::vector<uint32_t>();
  std::ranges::sort(allowed);
  allowed.erase(std::ranges::unique(allowed).begin(), allowed.end());
  return allowed;
}

void Engine::Impl::exclude(Request& r, uint32_t endpoint) {
  if (r.narrowing == nullptr) r.narrowing = std::make_unique<Narrowing>();
  std::vector<uint32_t>& excluded = r.narrowing->excluded;
  if (planted(Planted::kExclusionForgotten)) excluded.clear();
  const auto place = std::ranges::lower_bound(excluded, endpoint);
  const bool known = place != excluded.end() && *place == endpoint;
  if (!known && excluded.size() < kExclusionsMax) excluded.insert(place, endpoint);
}

RequestId Engine::submit(TimeNs now, const Submission& submission) {
  Impl& e = *impl_;
  e.enter(now);
  Submission s = submission;
  if (s.generation != e.pipeline.generation) {
    const auto past = std::ranges::find(e.generations, s.generation, &Impl::Generation::number);
    const bool known = past != e.generations.end();
    s.band = known && s.band < past->bands.size() ? past->bands[s.band] : e.pipeline.default_band;
    s.tenant = known && s.tenant < past->tenants.size() ? past->tenants[s.tenant] : kNone;
  }
  Band& band = *e.bands[s.band < e.bands.size() ? s.band : e.pipeline.default_band];
  if (s.tenant >= e.pipeline.tenants.size()) s.tenant = kNone;
  e.count(band, [](Ledger& l) { ++l.submitted; });
  if (e.draining && !planted(Planted::kDrainLetsIn)) {
    const RequestId id{e.next_seq++, kNone};
    e.refuse(id, band, Outcome::kRejectedDraining, Reason::kNone, s.bytes);
    e.leave();
    return id;
  }

  const std::optional<std::vector<uint32_t>> only = e.allowed_of(s);
  if (only && only->empty()) {
    const RequestId id{e.next_seq++, kNone};
    e.refuse(id, band, Outcome::kRejectedNoEndpoint, Reason::kNone, s.bytes);
    e.leave();
    return id;
  }

  Flow* flow = e.flow_for(band, s);
  const uint32_t slot = e.requests.allocate();
  Request* r = &e.requests.at(slot);
  r->id = {e.next_seq++, slot};
  r->flow = flow;
  r->arrival_ns = e.now_ns;
  r->parked_since = e.now_ns;
  if (band.config.ttl_ns != 0)
    r->serving_deadline = e.clocks.read(PoolClocks::kServing, e.now_ns) + band.config.ttl_ns;
  if (band.config.no_endpoint_ttl_ns != 0)
    r->empty_deadline =
        e.clocks.read(PoolClocks::kEmpty, e.now_ns) + band.config.no_endpoint_ttl_ns;
  r->wall_deadline = r->nominal_deadline = s.wall_deadline_ns;
  if (band.config.ttl_ns != 0)
    r->nominal_deadline = std::min(r->nominal_deadline, e.now_ns + band.config.ttl_ns);
  r->bytes = s.bytes;
  r->model_hash = s.model_hash;
  r->prompt_tokens = s.prompt_tokens;
  r->output_expected = s.output_expected;
  r->output_max = s.output_max;
  r->choices = s.choices;
  r->streams = s.streams;
  if (s.prompt_bytes != kNone) {
    r->prompt_bytes = s.prompt_bytes;
    r->estimated = true;
    e.estimate(*r);
  }
  r->cost = e.cost_of(r->prompt_tokens, 0, r->output_expected);
  r->ints.assign(s.ints.begin(), s.ints.end());
  r->floats.assign(s.floats.begin(), s.floats.end());
  if (e.wants_prefix) r->prefix.assign(s.prefix.begin(), s.prefix.end());
  r->host_class = s.eligible;
  if (only && !planted(Planted::kSubsetIgnored))
    r->narrowing =
        std::make_unique<Narrowing>(Narrowing{.restricted = true, .only = *only, .excluded = {}});
  r->cls = e.class_of(*r);
  e.endpoints.hold(r->cls);
  e.log_classes();
  const RequestId id = r->id;
  e.park(r);
  e.log_request(LogRecord::Kind::kSubmit, *r);
  e.expire();  // its own deadline may have passed on the way
  e.dispatch_all();
  if (Request* parked = e.find(id); parked != nullptr && parked->state == Request::State::kParked)
    e.enforce_limits(parked);
  e.leave();
  return id;
}

Engine::Cancel Engine::cancel(TimeNs now, RequestId id) {
  Impl& e = *impl_;
  e.enter(now);
  Cancel result = Cancel::kUnknown;
  if (Request* r = e.find(id); r != nullptr) {
    result = r->state == Request::State::kParked ? Cancel::kEnded : Cancel::kInFlight;
    if (result == Cancel::kEnded) e.end_parked(r, Outcome::kCancelled, Reason::kNone, false);
  }
  e.leave();
  return result;
}

void Engine::progress(TimeNs now, RequestId id, uint32_t output_events) {
  Impl& e = *impl_;
  e.enter(now);
  Request* r = e.find(id);
  const uint32_t output_tokens =
      r != nullptr ? e.estimates.tokens_of_events(r->model_hash, output_events) : 0;
  const bool in_flight = r != nullptr && r->state == Request::State::kInFlight;
  if (in_flight && output_events != 0)
    e.endpoints.prefilled(r->endpoint, std::exchange(r->prefilling, 0));
  if (in_flight && output_tokens > r->output_tokens) {
    Band& band = e.band_of(*r);
    const uint32_t before = std::exchange(r->output_tokens, output_tokens);
    const uint64_t cost = e.cost_with(*r, output_tokens);
    const uint64_t size = std::max(r->reserved, uint64_t{r->prompt_tokens} + output_tokens);
    const int64_t growth = static_cast<int64_t>(std::max(cost, r->charged) - r->charged);
    const uint64_t more = size - std::exchange(r->reserved, size);
    e.endpoints.grow(r->endpoint, static_cast<uint64_t>(growth), more);
    e.count(band, [&](Ledger& l) { l.in_flight_tokens += more; });
    if (growth != 0) {
      r->charged = cost;
      band.flows.in_flight(r->flow, 0, growth);
      band.flows.charge(r->flow, growth);
      if (planted(Planted::kProgressChargedTwice)) band.flows.charge(r->flow, growth);
      e.count(band, [&](Ledger& l) {
        l.in_flight_cost += static_cast<uint64_t>(growth);
        l.served_cost += static_cast<uint64_t>(growth);
      });
      e.tell_request(band, SLUICE_EV_PROGRESSED, *r, growth, 0, before);
    }
  }
  e.leave();
}

bool Engine::complete(TimeNs now, RequestId id, const Completion& completion) {
  Impl& e = *impl_;
  e.enter(now);
  Request* r = e.find(id);
  const bool in_flight = r != nullptr && r->state == Request::State::kInFlight;
  if (in_flight) e.end_in_flight(r, completion);
  e.leave();
  return in_flight;
}

bool Engine::requeue(TimeNs now, RequestId id, Requeue why) {
  Impl& e = *impl_;
  e.enter(now);
  Request* r = e.find(id);
  if (r == nullptr || r->state != Request::State::kInFlight) {
    e.leave();
    return false;
  }
  if (r->revoked) {  // it was taken back already; this is only how its end came
    e.end_in_flight(r, {.outcome = Outcome::kRevoked, .made_nothing = true});
    e.leave();
    return true;
  }
  Band& band = e.band_of(*r);
  const uint64_t charged = r->charged;
  const int64_t refund = -static_cast<int64_t>(charged);
  const uint32_t endpoint = r->endpoint;
  band.flows.in_flight(r->flow, -1, refund);
  if (!planted(Planted::kLeakedRefund)) band.flows.charge(r->flow, refund);
  e.count(band, [&](Ledger& l) {
    Impl::in_flight_changes(l, *r, -1);
    l.served_cost -= charged;
    ++l.requeues;
  });
  r->charged = 0;
  e.tell_request(band, SLUICE_EV_COMPLETED, *r, refund, SLUICE_OUT_REQUEUED, r->output_tokens);
  r->output_tokens = 0;
  r->cached_tokens = 0;
  r->cost = e.cost_of(r->prompt_tokens, 0, r->output_expected);
  if (why == Requeue::kBroken && !planted(Planted::kBrokenNotExcluded)) Impl::exclude(*r, endpoint);
  if (r->host_class != kNone) {
    e.use_class(r, e.class_of(*r));
    e.log_classes();
  }
  if (planted(Planted::kDeadlineRestarts) && r->serving_deadline != kNever)
    r->serving_deadline = e.clocks.read(PoolClocks::kServing, e.now_ns) + band.config.ttl_ns;
  r->state = Request::State::kParked;
  r->endpoint = kNone;
  r->parked_since = e.now_ns;
  e.log_request(LogRecord::Kind::kRequeue, *r);
  const uint64_t key_before = r->key;
  e.park(r);
  if (r->key != key_before) e.log_request(LogRecord::Kind::kMove, *r);
  if (why == Requeue::kRejected) e.endpoints.rejected(endpoint);
  e.endpoints.release(endpoint,
                      {charged, std::exchange(r->reserved, 0), std::exchange(r->prefilling, 0)});
  if (e.drained) {
    e.end_parked(r, Outcome::kDrained, Reason::kNone, true);
  } else if (r->host_class == kNone) {
    e.end_parked(r, Outcome::kRejectedUnknownModel, Reason::kNone, true);
  }
  e.expire();
  e.leave();
  return true;
}

bool Engine::served_by(TimeNs now, RequestId id, uint32_t slot) {
  Impl& e = *impl_;
  e.enter(now);
  Request* r = e.find(id);
  const bool moves =
      r != nullptr && r->state == Request::State::kInFlight && e.endpoints.exists(slot);
  if (moves && r->endpoint != slot) {
    const uint64_t reserved = planted(Planted::kReservationStays) ? 0 : r->reserved;
    e.endpoints.move(std::exchange(r->endpoint, slot), slot, {r->charged, reserved, r->prefilling});
    e.log({.kind = LogRecord::Kind::kServed, .seq = r->id.seq, .endpoint = slot});
    if (e.wants_prefix) e.prefixes.insert(r->prefix, slot);
  }
  e.leave();
  return moves;
}

// ---- time and life ----

void Engine::advance(TimeNs now) {
  impl_->enter(now);
  impl_->leave();
}

TimeNs Engine::next_deadline() const {
  const Impl& e = *impl_;
  TimeNs at = std::min({e.deadlines.next(), e.endpoints.next_pause_end(), e.held_until});
  for (const auto& band : e.bands) at = std::min(at, band->ask_again_ns);
  if (!e.prompts.empty()) at = std::min(at, e.prompts.front().until);
  return at;
}

void Engine::drain(TimeNs now) {
  impl_->enter(now);
  impl_->draining = true;
  impl_->leave();
}

bool Engine::draining() const { return impl_->draining; }

void Engine::drain_now(TimeNs now) {
  Impl& e = *impl_;
  e.enter(now);
  e.draining = e.drained = true;
  std::vector<Request*> all;
  e.requests.for_each([&](Request& r) { all.push_back(&r); });
  std::ranges::sort(all, {}, [](const Request* r) { return r->id.seq; });
  for (Request* r : all) {
    if (r->state == Request::State::kParked) {
      e.end_parked(r, Outcome::kDrained, Reason::kNone, true);
    } else if (!std::exchange(r->revoked, true) || planted(Planted::kRevokedTwice)) {
      e.decisions.push_back({.kind = Decision::Kind::kRevoke,
                             .id = r->id,
                             .endpoint = r->endpoint,
                             .outcome = Outcome::kRevoked,
                             .retry_after_s = e.retry_after(e.band_of(*r)),
                             .parked_ns = r->parked_before});
    }
  }
  e.leave();
}

Result<void> Engine::reconfigure(TimeNs now, Pipeline pipeline) {
  impl_->enter(now);
  Result<void> result = impl_->reconfigure(std::move(pipeline));
  impl_->leave();
  return result;
}

bool Engine::release_policy(TimeNs now, const std::string& name) {
  Impl& e = *impl_;
  e.enter(now);
  bool found = false;
  const auto release = [&](PolicySlot& slot) {
    if (!slot.quarantined() || slot.policy()->name() != name) return;
    slot.release();
    found = true;
  };
  for (auto& band : e.bands) {
    release(band->ordering);
    release(band->fairness);
    for (PolicySlot& slot : band->eviction) release(slot);
  }
  for (Impl::Scorer& scorer : e.scorers) release(scorer.slot);
  e.leave();
  return found;
}

// ---- outputs ----

std::vector<Decision>& Engine::decisions() { return impl_->decisions; }
const Pipeline& Engine::pipeline() const { return impl_->pipeline; }

// ---- steps that several calls share ----

void Engine::Impl::enter(TimeNs now) {
  now_ns = planted(Planted::kTimeRunsBack) ? now : std::max(now_ns, now);
  endpoints.set_now(now_ns);
  endpoints.end_pauses(now_ns);
  end_prompts();
  if (!planted(Planted::kExpiresLate)) expire();
}

void Engine::Impl::leave() {
  dispatch_all();
  if (planted(Planted::kExpiresLate)) expire(), dispatch_all();
  flush_scorers();
  if (log_dirty) {
    log({.kind = LogRecord::Kind::kSettled});
    log_dirty = false;
  }
}

void Engine::Impl::end_prompts() {
  while (!prompts.empty()) {
    const Prompt& oldest = prompts.front();
    Request* r = find(oldest.id);
    if (r != nullptr && r->attempt == oldest.attempt && r->prefilling != 0) {
      if (oldest.until > now_ns) return;
      endpoints.prefilled(r->endpoint, std::exchange(r->prefilling, 0));
    }
    prompts.pop_front();
  }
}

Request* Engine::Impl::find(RequestId id) {
  Request* r = id.slot == kNone ? nullptr : requests.find(id.slot);
  return r != nullptr && r->id.seq == id.seq ? r : nullptr;
}

void Engine::Impl::pool_may_have_flipped() {
  if (planted(Planted::kOneClock)) return;
  const auto which = endpoints.any_up() ? PoolClocks::kServing : PoolClocks::kEmpty;
  if (which != clocks.running()) clocks.set_running(which, now_ns);
}

}  // namespace sluice
