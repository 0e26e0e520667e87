#include <algorithm>
#include <cmath>

#include "core/engine_impl.h"

namespace sluice {

// Every admissible pair of request and endpoint, best first. Bands are strict: a lower one is
// looked at only when nothing of a higher one can be dispatched.
void Engine::Impl::dispatch_all() {
  for (auto& band : bands) {
    // Into quarantine or out of it: keys of two policies must not be compared.
    while (band->keyed != band->ordering.active()) rekey(*band);
    band->ask_again_ns = kNever;  // also when nothing is left to ask about
    if (band->admissible != 0) dispatch_band(*band);
  }
}

void Engine::Impl::dispatch_band(Band& band) {
  while (band.admissible != 0) {
    flush(band);
    const uint32_t slot = pick_flow(band);
    if (slot == SLUICE_NONE) {
      ++passes_idle;
      log({.kind = LogRecord::Kind::kIdle, .band = band.log_id});
      return;
    }
    Flow* flow = band.flows.at(slot);
    if (endpoints.at(flow->cls).rooms != 0) {
      dispatch(band, flow->head());
    } else if (band.config.hold_when_blocked) {
      ++passes_hold;
      log({.kind = LogRecord::Kind::kIdle, .band = band.log_id});
      return;
    } else {
      mark_blocked(band, flow);
    }
  }
}

// The slot of a ready flow, or SLUICE_NONE if the policy chooses to idle.
uint32_t Engine::Impl::pick_flow(Band& band) {
  const sluice_flows& flows = band.flows.view(now_ns);
  if (band.fairness.active()) {
    const auto* vtable = static_cast<const sluice_fairness_v1*>(band.fairness.vtable());
    uint64_t retry_ns = SLUICE_NEVER;
    uint32_t slot = SLUICE_NONE;
    const bool answered = band.fairness.run(now_ns, "pick", [&] {
      slot = vtable->pick(band.fairness.object(), band.fairness.state(), &flows, &retry_ns);
    });
    if (answered && slot == SLUICE_NONE && band.fairness.may_idle()) {
      band.ask_again_ns = std::max(retry_ns, now_ns + 1);
      return SLUICE_NONE;
    }
    if (answered && slot != SLUICE_NONE && band.flows.is_ready(slot)) return slot;
    if (answered)
      band.fairness.fault(now_ns, slot == SLUICE_NONE ? "pick idled without SLUICE_MAY_IDLE"
                                                      : "pick named a flow that is not ready");
  }
  return round_robin(flows, band.cursor);
}

void Engine::Impl::dispatch(Band& band, Request* r) {
  uint32_t cached = 0;
  const uint32_t endpoint = choose_endpoint(band, r, &cached);
  Flow* flow = r->flow;
  const TimeNs parked_ns = r->parked_ns(now_ns);

  // The facts first, then the flow's new head: DISPATCHED comes before IDLE or HEAD.
  r->state = Request::State::kInFlight;
  r->endpoint = endpoint;
  r->cached_tokens = cached;
  r->epoch = epoch;
  r->moved = false;
  ++r->attempt;
  const uint64_t charged = cost_of(r->prompt_tokens, cached, r->output_expected);
  r->charged = charged;
  r->parked_before = parked_ns;
  const RequestId id = r->id;
  log({.kind = LogRecord::Kind::kDispatch,
       .seq = id.seq,
       .endpoint = endpoint,
       .value = r->attempt});
  tell_request(band, SLUICE_EV_DISPATCHED, *r, static_cast<int64_t>(charged), 0, 0);
  ++flow->dispatches;
  band.cursor = flow->slot;
  band.flows.in_flight(flow, 1, static_cast<int64_t>(charged));
  band.flows.charge(flow, static_cast<int64_t>(charged));
  unpark(r);
  count(band, [&](Ledger& l) {
    ++l.in_flight;
    ++l.dispatches;
    l.in_flight_bytes += r->bytes;
    l.in_flight_cost += charged;
    l.served_cost += charged;
  });
  band.dispatch_rate.add(now_ns, 1);
  if (wants_prefix) prefixes.insert(r->prefix, endpoint);
  endpoints.take(endpoint, charged);
  decisions.push_back({.kind = Decision::Kind::kDispatch,
                       .id = id,
                       .endpoint = endpoint,
                       .attempt = r->attempt,
                       .parked_ns = parked_ns});
}

// The best endpoint with room in the request's class; there is at least one.
uint32_t Engine::Impl::choose_endpoint(Band& band, Request* r, uint32_t* cached_tokens) {
  candidate_slots.clear();
  endpoints.at(r->cls).members.for_each_in(endpoints.room(),
                                           [&](uint32_t slot) { candidate_slots.push_back(slot); });
  const size_t n = candidate_slots.size();
  candidate_cached.assign(n, 0);
  if (wants_prefix && !r->prefix.empty()) {
    candidate_blocks.assign(n, 0);
    prefixes.match(r->prefix, candidate_slots, candidate_blocks);
    for (size_t i = 0; i < n; ++i) {
      const uint64_t tokens = uint64_t{candidate_blocks[i]} * pipeline.prefix_block_tokens;
      candidate_cached[i] = static_cast<uint32_t>(std::min<uint64_t>(tokens, r->prompt_tokens));
    }
  }
  uint32_t chosen = 0;
  if (n > 1) {
    candidates.clear();
    for (uint32_t slot : candidate_slots)
      candidates.push_back({slot, endpoints.in_flight(slot), 0});
    score(band, r);
    chosen = pick_endpoint(pipeline.picker, candidates, r->id.seq, random);
  }
  *cached_tokens = candidate_cached[chosen];
  return candidate_slots[chosen];
}

// Weighted sums of all scorers into candidates[].score.
void Engine::Impl::score(Band& band, Request* r) {
  const size_t n = candidates.size();
  const auto add_least_in_flight = [&](float weight) {
    for (Candidate& c : candidates) c.score += weight / (1.0F + static_cast<float>(c.in_flight));
  };
  if (scorers.empty()) return add_least_in_flight(1);

  flush_scorers();
  const sluice_endpoints& view = endpoints.view(now_ns);
  candidate_rows.clear();
  for (uint32_t slot : candidate_slots) candidate_rows.push_back(endpoints.row_of(slot));
  rows.clear();
  rows.add(*r, band.flows.hash(*r->flow), band.config.priority,
           *std::max_element(candidate_cached.begin(), candidate_cached.end()));
  for (Scorer& scorer : scorers) {
    if (!scorer.slot.active()) {
      add_least_in_flight(scorer.weight);
      continue;
    }
    const bool prefix = scorer.slot.wants_prefix();
    const sluice_pairs pairs{.struct_size = sizeof(sluice_pairs),
                             .count = static_cast<uint32_t>(n),
                             .endpoint = candidate_rows.data(),
                             .cached_tokens = prefix ? candidate_cached.data() : nullptr};
    const auto* vtable = static_cast<const sluice_scoring_v1*>(scorer.slot.vtable());
    scores.assign(n, 0);
    const bool answered = scorer.slot.run(now_ns, "score", [&] {
      vtable->score(scorer.slot.object(), scorer.slot.state(), &rows.view(prefix), &view, &pairs,
                    scores.data());
    });
    if (!answered) continue;
    bool finite = true;
    for (size_t i = 0; i < n; ++i) {
      if (!std::isfinite(scores[i])) {
        finite = false;
        scores[i] = 0;
      }
      candidates[i].score += scorer.weight * std::clamp(scores[i], 0.0F, 1.0F);
    }
    if (!finite) scorer.slot.fault(now_ns, "score was not a finite number");
  }
}

}  // namespace sluice
