#include <algorithm>
#include <utility>

#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {

// ---- flows ----

Flow* Engine::Impl::flow_for(Band& band, const Submission& s) {
  Flow* flow = band.flows.find(s.flow);
  if (flow != nullptr) {
    band.flows.set_busy(flow);
    set_tenant(band, flow, s.tenant);
    if (band.flows.set_weight(flow, s.weight_milli)) tell_flow(band, SLUICE_EV_FLOW_CHANGED, *flow);
    return flow;
  }
  forget_idle_flows(band);
  // Plain flows and those of tenants have slots of their own and push out only their like.
  const bool plain = s.tenant == kNone;
  const auto full = [&] {
    return plain ? band.plain_flows >= pipeline.flows_max : band.flows.full();
  };
  if (full())
    if (Flow* oldest = band.flows.least_recent(plain); oldest != nullptr) forget(band, oldest);
  const uint32_t weight = std::clamp<uint32_t>(s.weight_milli, 1, 1'000'000);
  if (!full()) flow = band.flows.add(s.flow, s.flow_hash, weight);
  if (flow == nullptr) return overflow_of(band);
  flow->tenant = s.tenant;
  if (plain) ++band.plain_flows;
  tell_flow(band, SLUICE_EV_FLOW_ADDED, *flow);
  return flow;
}

Flow* Engine::Impl::overflow_of(Band& band) {
  const bool first = band.flows.at(FlowTable::kOverflowSlot) == nullptr;
  Flow* flow = band.flows.overflow();
  if (first) tell_flow(band, SLUICE_EV_FLOW_ADDED, *flow);
  return flow;
}

// A reload may have made the flow a tenant's, or another one's. It must not be in an idle list.
void Engine::Impl::set_tenant(Band& band, Flow* flow, uint32_t tenant) {
  if (flow->tenant == tenant) return;
  if (flow->tenant != kNone) tenant_parked[flow->tenant] -= flow->parked.size();
  if (tenant != kNone) tenant_parked[tenant] += flow->parked.size();
  if (flow->tenant == kNone) --band.plain_flows;
  if (tenant == kNone) ++band.plain_flows;
  flow->tenant = tenant;
}

void Engine::Impl::forget_idle_flows(Band& band) {
  if (pipeline.flow_idle_ttl_ns == 0) return;
  TimeNs keep = pipeline.flow_idle_ttl_ns;
  if (const PolicyPtr& fairness = band.fairness.policy(); fairness)
    keep = std::max(keep, fairness->retain_idle_ns);
  // A few at a time pay for the one that is about to be added, and bound the work of one call.
  for (int n = 0; n < 2; ++n) {
    for (const bool plain : {true, false}) {
      Flow* oldest = band.flows.least_recent(plain);
      if (oldest != nullptr && now_ns - oldest->idle_since >= keep) forget(band, oldest);
    }
  }
}

void Engine::Impl::forget(Band& band, Flow* flow) {
  tell_flow(band, SLUICE_EV_FLOW_REMOVED, *flow);
  flush(band);  // a slot is not given to another flow while something of this one is unheard
  if (flow->tenant == kNone) --band.plain_flows;
  band.flows.remove(flow);
}

void Engine::Impl::may_be_idle(Band& band, Flow* flow) {
  const bool parked = !flow->parked.empty() && !planted(Planted::kForgottenWithWork);
  if (!parked && band.flows.in_flight(*flow) == 0) band.flows.set_idle(flow, now_ns);
}

// ---- parking ----

void Engine::Impl::park(Request* r) {
  Band& band = band_of(*r);
  Flow* flow = r->flow;
  r->key = key_of(band, *r);
  const Request* old_head = flow->head();
  band.flows.park(flow, r);
  deadlines.add(r);
  if (flow->tenant != kNone) ++tenant_parked[flow->tenant];
  count(band, [&](Ledger& l) {
    ++l.parked;
    l.parked_bytes += r->bytes;
    l.parked_cost += r->cost;
  });
  head_changed(band, flow, old_head);
}

void Engine::Impl::unpark(Request* r) {
  Band& band = band_of(*r);
  Flow* flow = r->flow;
  const Request* old_head = flow->head();
  band.flows.unpark(flow, r);
  deadlines.remove(r);
  if (flow->tenant != kNone && !planted(Planted::kTenantLeak)) --tenant_parked[flow->tenant];
  count(band, [&](Ledger& l) {
    --l.parked;
    l.parked_bytes -= r->bytes;
    l.parked_cost -= r->cost;
  });
  head_changed(band, flow, old_head);
}

uint64_t Engine::Impl::key_of(Band& band, const Request& r) {
  uint64_t key = planted(Planted::kRequeueToTail) && r.attempt != 0 ? next_seq : r.id.seq;
  if (!band.keyed) return key;
  const auto* vtable = static_cast<const sluice_ordering_v1*>(band.ordering.vtable());
  if (vtable->observe != nullptr) flush(band);
  rows.clear();
  rows.add(r, band.flows.hash(*r.flow), band.config.priority, r.cached_tokens);
  const sluice_band view = band_view(band);
  const bool answered = band.ordering.run(now_ns, "keys", [&] {
    vtable->keys(band.ordering.object(), band.ordering.state(),
                 &rows.view(band.ordering.wants_prefix()), &view, &key);
  });
  return answered ? key : r.id.seq;
}

uint32_t Engine::Impl::class_of(const Request& r) {
  const uint32_t cls = endpoints.class_of(r.host_class);
  return r.narrowing == nullptr ? cls : endpoints.derive(cls, *r.narrowing);
}

void Engine::Impl::use_class(Request* r, uint32_t cls) {
  const uint32_t before = std::exchange(r->cls, cls);
  endpoints.hold(cls);
  // Its flow may still stand in the class before, which may go with its last request.
  if (r->state == Request::State::kParked) head_changed(band_of(*r), r->flow, r->flow->head());
  endpoints.drop(before);
}

// ---- heads, and who is ready ----

void Engine::Impl::head_changed(Band& band, Flow* flow, const Request* old_head) {
  const Request* head = flow->head();
  if (head == old_head && (head == nullptr || head->cls == flow->cls)) return;
  if (flow->held != Flow::Held::kNo) unhold(band, flow);
  const uint32_t old_cls = flow->cls;
  const uint32_t cls = head != nullptr ? head->cls : kNone;
  if (cls != old_cls) {
    if (old_cls != kNone) {
      --band.waiting_in(old_cls);
      if (endpoints.at(old_cls).rooms != 0) --band.admissible;
    }
    if (flow->blocked) unlink_blocked(flow);  // from the list of the old class
    flow->cls = cls;
    if (cls != kNone) {
      ++band.waiting_in(cls);
      if (endpoints.at(cls).rooms != 0) ++band.admissible;
    }
    if (flow->blocked && cls != kNone && endpoints.at(cls).rooms == 0) {
      // Blocked before and after, but by another class.
      flow->blocked_after = endpoints.at(cls).first_blocked;
      if (flow->blocked_after != nullptr) flow->blocked_after->blocked_before = flow;
      endpoints.at(cls).first_blocked = flow;
    }
  }
  band.flows.refresh_head(flow);
  if (head == nullptr) {
    band.flows.set_waiting_none(flow);
    tell_flow(band, SLUICE_EV_IDLE, *flow);
  } else if (old_head == nullptr) {
    band.flows.set_busy(flow);
    band.flows.set_ready(flow);
    if (!planted(Planted::kReturnUntold)) tell_flow(band, SLUICE_EV_WAITING, *flow);
  } else {
    if (flow->blocked && endpoints.at(cls).rooms != 0) {
      band.flows.set_ready(flow);
      tell_flow(band, SLUICE_EV_UNBLOCKED, *flow);
    }
    tell_flow(band, SLUICE_EV_HEAD, *flow);
  }
}

void Engine::Impl::mark_blocked(Band& band, Flow* flow) {
  EligibilityClass& cls = endpoints.at(flow->cls);
  band.flows.set_blocked(flow);
  flow->blocked_after = cls.first_blocked;
  if (flow->blocked_after != nullptr) flow->blocked_after->blocked_before = flow;
  cls.first_blocked = flow;
  tell_flow(band, SLUICE_EV_BLOCKED, *flow);
}

void Engine::Impl::unlink_blocked(Flow* flow) {
  if (flow->blocked_before != nullptr) {
    flow->blocked_before->blocked_after = flow->blocked_after;
  } else {
    endpoints.at(flow->cls).first_blocked = flow->blocked_after;
  }
  if (flow->blocked_after != nullptr) flow->blocked_after->blocked_before = flow->blocked_before;
  flow->blocked_before = flow->blocked_after = nullptr;
}

void Engine::Impl::unblock(Band& band, Flow* flow) {
  unlink_blocked(flow);
  band.flows.set_ready(flow);
  tell_flow(band, SLUICE_EV_UNBLOCKED, *flow);
}

void Engine::Impl::room_changed(uint32_t cls, bool has_room) {
  for (auto& band : bands) {
    const uint32_t waiting = band->waiting_in(cls);
    has_room ? band->admissible += waiting : band->admissible -= waiting;
  }
  if (!has_room || planted(Planted::kStaysBlocked)) return;
  // Flows are told one by one that they were blocked, so telling them the contrary is paid for.
  while (Flow* flow = endpoints.at(cls).first_blocked) unblock(band_of(*flow), flow);
}

// ---- events ----

void Engine::Impl::tell(Band& band, sluice_event event, uint64_t band_epoch, uint64_t pool_epoch) {
  event.time_ns = now_ns;
  event.band_rank = band.rank;
  if (band.event_mask >> event.type & 1) {
    if (band.events.size() >= kEventBatchMax) flush(band);
    band.events.push_back({event, band_epoch});
  }
  if (scorer_event_mask >> event.type & 1) {
    if (scorer_events.size() >= kEventBatchMax) flush_scorers();
    scorer_events.push_back({event, pool_epoch});
  }
}

void Engine::Impl::tell_flow(Band& band, uint32_t type, const Flow& flow) {
  tell(band, {.type = type, .slot = flow.slot, .endpoint = SLUICE_NONE});
}

void Engine::Impl::tell_request(Band& band, uint32_t type, const Request& r, int64_t change,
                                uint16_t outcome, uint32_t output_before) {
  const bool settles = type == SLUICE_EV_PROGRESSED || type == SLUICE_EV_COMPLETED;
  tell(band,
       {.type = type,
        .slot = r.flow->slot,
        .seq = r.id.seq,
        .change = change,
        .prompt_tokens = r.prompt_tokens,
        .cached_tokens = r.cached_tokens,
        .output_expected = r.output_expected,
        .output_tokens = r.output_tokens,
        .output_before = output_before,
        .endpoint = r.endpoint,
        .outcome = outcome},
       settles ? (r.moved ? 0 : r.epoch) : kNow, settles ? r.epoch : kNow);
}

void Engine::Impl::flush(Band& band) {
  if (band.events.empty()) return;
  const auto tell_all = [&](PolicySlot& slot) {
    if (slot.events() == 0) return;
    const sluice_events wanted = events_for(slot, band.events, event_scratch);
    if (wanted.count != 0) observe(band, slot, wanted);
  };
  tell_all(band.ordering);
  tell_all(band.fairness);
  for (uint32_t above = 0; above <= band.rank; ++above)
    tell_all(bands[above]->eviction[band.rank - above]);
  band.events.clear();
}

// SLOT is one of those that listen to BAND.
void Engine::Impl::observe(Band& band, PolicySlot& slot, const sluice_events& events) {
  const auto call = [&](auto observe, auto... tables) {
    if (observe == nullptr) return;
    slot.run(now_ns, "observe", [&] { observe(slot.object(), slot.state(), tables..., &events); });
  };
  if (&slot == &band.ordering)
    return call(static_cast<const sluice_ordering_v1*>(slot.vtable())->observe);
  const sluice_flows* flows = &band.flows.view(now_ns);
  if (&slot == &band.fairness)
    return call(static_cast<const sluice_fairness_v1*>(slot.vtable())->observe, flows);
  call(static_cast<const sluice_eviction_v1*>(slot.vtable())->observe, flows);
}

void Engine::Impl::flush_scorers() {
  if (scorer_events.empty()) return;
  const sluice_endpoints& view = endpoints.view(now_ns);
  for (Scorer& scorer : scorers) {
    if (scorer.slot.events() == 0) continue;
    const auto* v = static_cast<const sluice_scoring_v1*>(scorer.slot.vtable());
    const sluice_events ev = events_for(scorer.slot, scorer_events, event_scratch);
    if (v->observe == nullptr || ev.count == 0) continue;
    scorer.slot.run(now_ns, "observe",
                    [&] { v->observe(scorer.slot.object(), scorer.slot.state(), &view, &ev); });
  }
  scorer_events.clear();
}

void Engine::Impl::refresh_event_mask(Band& band) {
  band.event_mask = band.ordering.events() | band.fairness.events();
  for (uint32_t above = 0; above <= band.rank; ++above)
    band.event_mask |= bands[above]->eviction[band.rank - above].events();
}

sluice_band Engine::Impl::band_view(Band& band) {
  return {.struct_size = sizeof(sluice_band),
          .rank = band.rank,
          .parked = static_cast<uint32_t>(band.ledger.parked),
          .inflight = static_cast<uint32_t>(band.ledger.in_flight),
          .now_ns = now_ns,
          .parked_cost = band.ledger.parked_cost,
          .parked_bytes = band.ledger.parked_bytes,
          .cost_per_second = static_cast<uint64_t>(band.cost_rate.per_second(now_ns))};
}

uint32_t Engine::Impl::flow_slots(const Pipeline& p) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{p.flows_max} + kTenantFlowsMax + 1, kNone - 1));
}

}  // namespace sluice
