#include <algorithm>

#include "core/columns.h"
#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {

// Every admissible pair of request and endpoint, best first. Bands are strict: a lower one is
// looked at only when nothing of a higher one can be dispatched.
void Engine::Impl::dispatch_all() {
  for (auto& band : bands) {
    // Into quarantine or out of it: keys of two policies must not be compared.
    while (band->keyed != band->ordering.active()) rekey(*band);
    band->ask_again_ns = kNever;  // also when nothing is left to ask about
    if (band->flows.waiting_count() == 0) continue;
    uint64_t dispatches = 0;
    do {
      dispatches = total.dispatches;
      if (!held.empty()) serve_held(*band);
      dispatch_band(*band);
      // A head that has come up on the way may have a use for what is held.
    } while (!held.empty() && total.dispatches != dispatches);
  }
  held_seen = endpoints.version();
  held_until = kNever;
  if (held_for_better == 0) return;
  for (const Flow* flow : held)
    if (flow->held == Flow::Held::kBetter)
      held_until = std::min(held_until, flow->head()->better_until);
}

// Whether what BAND and those below it have in flight is all that they may have.
bool Engine::Impl::at_ceiling(const Band& band) const {
  if (band.config.ceiling >= 1 || planted(Planted::kCeilingOverlooked)) return false;
  EndpointTable::Room in_flight;
  for (size_t rank = band.rank; rank < bands.size(); ++rank) {
    in_flight.requests += bands[rank]->ledger.in_flight;
    in_flight.tokens += bands[rank]->ledger.in_flight_tokens;
  }
  const EndpointTable::Room room = endpoints.room_of_pool();
  const EndpointTable::Room elsewhere = endpoints.in_flight_elsewhere();
  const auto reached = [&](uint64_t taken, uint64_t gone, uint64_t all) {
    if (all == UINT64_MAX || taken == 0) return false;
    const auto most = static_cast<uint64_t>(band.config.ceiling * static_cast<double>(all));
    return taken >= gone + std::max<uint64_t>(most, 1);
  };
  return reached(in_flight.requests, elsewhere.requests, room.requests) ||
         reached(in_flight.tokens, elsewhere.tokens, room.tokens);
}

// BAND lets this turn pass although it has work; COUNTER says why, if that held anything back.
void Engine::Impl::pass(Band& band, uint64_t* counter) {
  if (counter != nullptr) ++*counter;
  log({.kind = LogRecord::Kind::kIdle, .band = band.log_id});
}

void Engine::Impl::dispatch_band(Band& band) {
  if (planted(Planted::kPriorityInversion) && band.rank + 1 < bands.size())
    dispatch_band(*bands[band.rank + 1]);
  for (;;) {
    // Said even if nothing could go now: lower bands may free an endpoint that this one would like.
    if (at_ceiling(band)) {
      endpoints.at_share(band.config.ceiling);
      return pass(band, band.admissible != 0 ? &passes_ceiling : nullptr);
    }
    if (band.admissible == 0) return;
    if (band.config.hold_when_blocked && band.held != 0) return pass(band, &passes_hold);
    flush(band);
    const uint32_t slot = pick_flow(band);
    if (slot == SLUICE_NONE) return pass(band, &passes_idle);
    Flow* flow = band.flows.at(slot);
    if (endpoints.at(flow->cls).rooms != 0) {
      const Choice to = choose_endpoint(band, flow->head());
      if (to.endpoint != kNone) {
        dispatch(band, flow->head(), to);
      } else {
        hold(band, flow, to.held, to.earmark);
      }
    } else if (band.config.hold_when_blocked) {
      return pass(band, &passes_hold);
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

void Engine::Impl::dispatch(Band& band, Request* r, const Choice& to) {
  const uint32_t endpoint = to.endpoint;
  Flow* flow = r->flow;
  const TimeNs parked_ns = r->parked_ns(now_ns);

  // The facts first, then the flow's new head: DISPATCHED comes before IDLE or HEAD.
  r->state = Request::State::kInFlight;
  r->endpoint = endpoint;
  r->cached_tokens = to.cached_tokens;
  r->epoch = epoch;
  r->moved = false;
  ++r->attempt;
  const uint64_t charged = cost_with(*r, r->output_expected);
  r->charged = charged;
  r->reserved = r->size();
  r->dispatched_ns = now_ns;
  r->parked_before = planted(Planted::kWaitForgotten) ? 0 : parked_ns;
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
    in_flight_changes(l, *r, 1);
    ++l.dispatches;
    l.served_cost += charged;
  });
  band.dispatch_rate.add(now_ns, 1);
  if (wants_prefix) prefixes.insert(r->prefix, endpoint);
  if (r->streams) {
    const uint32_t cached = estimates.cached_tokens(r->model_hash, r->cached_tokens);
    r->prefilling = r->prompt_tokens - std::min(cached, r->prompt_tokens);
    if (r->prefilling != 0 && endpoints.limits_prompts(endpoint))
      prompts.push_back({now_ns + kPromptMaxNs, id, r->attempt});
  }
  endpoints.take(endpoint, {charged, r->reserved, r->prefilling});
  decisions.push_back({.kind = Decision::Kind::kDispatch,
                       .id = id,
                       .endpoint = endpoint,
                       .attempt = r->attempt,
                       .parked_ns = parked_ns,
                       .ranked = std::exchange(ranked, {})});
}

// Lists the endpoints of MEMBERS that the request could go to: the first FIRST of the shortlist,
// the one with index CHOSEN before all others, then what is up but has no room.
void Engine::Impl::rank(const EndpointSet& members, uint32_t first, uint32_t chosen) {
  ranked.clear();
  EndpointSet listed;
  for (uint32_t i = 0; i < first; ++i) {
    ranked.push_back({shortlist.slots[i], shortlist.sums[i]});
    listed.insert(shortlist.slots[i]);
  }
  std::swap(ranked.front(), ranked[chosen]);
  const std::span<const uint32_t> in_flight = endpoints.in_flight();
  const auto by_score = [&](const Ranked& a, const Ranked& b) {
    return a.score != b.score ? a.score > b.score : in_flight[a.endpoint] < in_flight[b.endpoint];
  };
  std::stable_sort(ranked.begin() + 1, ranked.end(), by_score);
  const auto full = static_cast<std::ptrdiff_t>(ranked.size());
  members.for_each([&](uint32_t slot) {
    if (endpoints.exists(slot) && endpoints.usable(slot) && !listed.contains(slot))
      ranked.push_back({slot, 0});
  });
  std::stable_sort(ranked.begin() + full, ranked.end(), by_score);
}

// The best endpoint of the request's class that has room, of which there is at least one, and room
// for its size. If none has, the one with the most left is to be emptied for it.
Engine::Impl::Choice Engine::Impl::choose_endpoint(Band& band, Request* r) {
  if (r->estimated && now_ns - r->parked_since >= kEstimateKeptNs) estimate(*r);
  Shortlist& list = shortlist;
  list.size = 0;
  uint32_t roomiest = kNone;
  const EndpointSet& members = endpoints.at(r->cls).members;
  members.for_each_in(endpoints.room(), [&](uint32_t slot) {
    if (endpoints.fits(slot, r->size())) {
      list.slots[list.size++] = slot;
    } else if (roomiest == kNone ||
               endpoints.spare_tokens(slot) > endpoints.spare_tokens(roomiest)) {
      roomiest = slot;
    }
  });
  const uint32_t free = list.size;
  if (free == 0) return {.held = Flow::Held::kSize, .earmark = roomiest};
  // Those that are full may be worth waiting for.
  const WaitForBetter& wait = pipeline.wait_for_better;
  const bool may_wait = wait.min_gain > 0 && wait.wait_max_ns != 0 &&
                        held_for_better < kBetterHeldMax &&
                        (r->better_until == 0 || now_ns < r->better_until);
  if (may_wait)
    members.for_each([&](uint32_t slot) {
      if (endpoints.waits_for(slot)) list.slots[list.size++] = slot;
    });
  find_cached(*r, members);
  uint32_t chosen = 0;
  if (list.size > 1 || pipeline.ranks) {
    score(band, r);
    Candidates candidates = list.candidates(endpoints.in_flight());
    if (list.size > free) {
      if (highest(candidates.scores.subspan(free)) - highest(candidates.scores.first(free)) >=
          wait.min_gain) {
        if (r->better_until == 0) r->better_until = now_ns + wait.wait_max_ns;
        return {.held = Flow::Held::kBetter};
      }
      list.size = free;
      candidates = list.candidates(endpoints.in_flight());
    }
    chosen = pick_endpoint(pipeline.picker, candidates, r->id.seq, random);
  }
  if (pipeline.ranks) rank(members, list.size, chosen);
  return {.endpoint = list.slots[chosen], .cached_tokens = list.cached[chosen]};
}

// Of R's prompt, the tokens that each endpoint of the shortlist, which are some of MEMBERS, has
// seen.
void Engine::Impl::find_cached(const Request& r, const EndpointSet& members) {
  Shortlist& list = shortlist;
  list.most_cached = 0;
  if (!wants_prefix || r.prefix.empty()) {
    std::fill_n(list.cached.begin(), list.size, 0);
    return;
  }
  for (uint32_t i = 0; i < list.size; ++i) blocks_of_slot[list.slots[i]] = 0;
  prefixes.match(r.prefix, members, blocks_of_slot);
  const uint64_t block = pipeline.prefix_block_tokens, prompt = r.prompt_tokens;
  for (uint32_t i = 0; i < list.size; ++i) {
    list.cached[i] = static_cast<uint32_t>(std::min(blocks_of_slot[list.slots[i]] * block, prompt));
    list.most_cached = std::max(list.most_cached, list.cached[i]);
  }
}

void Engine::Impl::add_least_in_flight(float weight) {
  const std::span<const uint32_t> in_flight = endpoints.in_flight();
  for (uint32_t i = 0; i < shortlist.size; ++i)
    shortlist.sums[i] += weight / (1.0F + static_cast<float>(in_flight[shortlist.slots[i]]));
}

// Weighted sums of all scorers, for each endpoint of the shortlist.
void Engine::Impl::score(Band& band, Request* r) {
  std::fill_n(shortlist.sums.begin(), shortlist.size, 0.0F);
  scorers.empty() ? add_least_in_flight(1) : ask_scorers(band, r);
}

// The same; there are scorers.
void Engine::Impl::ask_scorers(Band& band, Request* r) {
  Shortlist& list = shortlist;
  flush_scorers();
  const sluice_endpoints& view = endpoints.view(now_ns);
  for (uint32_t i = 0; i < list.size; ++i) list.rows[i] = endpoints.row_of(list.slots[i]);
  rows.clear();
  rows.add(*r, band.flows.hash(*r->flow), band.config.priority, list.most_cached);
  const std::span<float> scores(list.scores.data(), list.size);
  for (Scorer& scorer : scorers) {
    if (!scorer.slot.active()) {
      add_least_in_flight(scorer.weight);
      continue;
    }
    const bool prefix = scorer.slot.wants_prefix();
    const sluice_pairs pairs{.struct_size = sizeof(sluice_pairs),
                             .count = list.size,
                             .endpoint = list.rows.data(),
                             .cached_tokens = prefix ? list.cached.data() : nullptr};
    const auto* vtable = static_cast<const sluice_scoring_v1*>(scorer.slot.vtable());
    std::ranges::fill(scores, 0.0F);
    const bool answered = scorer.slot.run(now_ns, "score", [&] {
      vtable->score(scorer.slot.object(), scorer.slot.state(), &rows.view(prefix), &view, &pairs,
                    scores.data());
    });
    if (answered && !add_weighted(scores, scorer.weight, list.sums))
      scorer.slot.fault(now_ns, "score was not a finite number");
  }
}

}  // namespace sluice
