#include <algorithm>

#include "core/engine_impl.h"

namespace sluice {

void Engine::Impl::hold(Band& band, Flow* flow, Flow::Held why, uint32_t earmark) {
  Request* head = flow->head();
  --band.waiting_in(flow->cls);
  if (endpoints.at(flow->cls).rooms != 0) --band.admissible;
  flow->held = why;
  flow->held_head = head->id;
  flow->held_place = static_cast<uint32_t>(held.size());
  held.push_back(flow);
  band.flows.set_blocked(flow);
  tell_flow(band, SLUICE_EV_BLOCKED, *flow);
  const bool for_size = why == Flow::Held::kSize;
  log({.kind = LogRecord::Kind::kHeld, .seq = head->id.seq, .value = for_size ? 0u : 1u});
  if (!std::exchange(head->was_held, true)) ++(for_size ? holds_size : holds_better);
  ++band.held;
  if (for_size) {
    flow->earmark = earmark;
    endpoints.earmark(earmark, true);
  } else {
    ++held_for_better;
  }
}

void Engine::Impl::unhold(Band& band, Flow* flow) {
  held[flow->held_place] = held.back();
  held[flow->held_place]->held_place = flow->held_place;
  held.pop_back();
  const bool for_size = flow->held == Flow::Held::kSize;
  flow->held = Flow::Held::kNo;
  const Request* head = find(flow->held_head);  // null or out of its flow: it has just ended
  if (head != nullptr && head->in_flow.queued())
    log({.kind = LogRecord::Kind::kFree, .seq = head->id.seq});
  ++band.waiting_in(flow->cls);
  if (endpoints.at(flow->cls).rooms != 0) ++band.admissible;
  band.flows.set_ready(flow);
  tell_flow(band, SLUICE_EV_UNBLOCKED, *flow);
  --band.held;
  if (for_size) {
    endpoints.earmark(std::exchange(flow->earmark, kNone), false);
  } else {
    --held_for_better;
  }
}

void Engine::Impl::unhold_all() {
  while (!held.empty()) unhold(band_of(*held.back()), held.back());
}

bool Engine::Impl::wanted_by(const Band& band, uint32_t endpoint) {
  return std::ranges::any_of(endpoints.classes_of(endpoint), [&](uint32_t cls) {
    return cls < band.waiting_in_class.size() && band.waiting_in_class[cls] != 0;
  });
}

bool Engine::Impl::fits_anywhere(const Request& r) {
  bool fits = false;
  endpoints.at(r.cls).members.for_each_in(
      endpoints.room(), [&](uint32_t slot) { fits = fits || endpoints.fits(slot, r.size()); });
  return fits;
}

// Whether the endpoint that is emptied for the head of FLOW will ever do.
bool Engine::Impl::keeps_for(const Flow& flow) {
  return endpoints.usable(flow.earmark) && endpoints.at(flow.cls).members.contains(flow.earmark);
}

// Whether there is room now for the head of FLOW, which is kept back for its size.
bool Engine::Impl::may_go(const Flow& flow) {
  const Request& head = *flow.head();
  return (keeps_for(flow) && endpoints.takes(flow.earmark, head.size())) || fits_anywhere(head);
}

// Whether a head of BAND that is kept back for its size could go to ENDPOINT, which is kept for a
// lower band.
bool Engine::Impl::fits_held_of(const Band& band, uint32_t endpoint) {
  if (band.held == 0) return false;
  return std::ranges::any_of(held, [&](const Flow* flow) {
    return flow->held == Flow::Held::kSize && flow->band == band.rank &&
           endpoints.at(flow->cls).members.contains(endpoint) &&
           endpoints.takes(endpoint, flow->head()->size());
  });
}

// One flow of those held. True if it is held no longer.
bool Engine::Impl::serve_held(Band& band, Flow* flow) {
  Band& of = band_of(*flow);
  if (flow->held == Flow::Held::kBetter) {
    const bool again =
        &of == &band && (now_ns >= flow->head()->better_until || endpoints.version() != held_seen);
    if (again) unhold(of, flow);
    return again;
  }
  if (of.rank < band.rank || at_ceiling(band)) return false;
  if (of.rank > band.rank) {
    // Strict: what is being emptied for a lower band is this one's if it has a use for it.
    const bool wanted = wanted_by(band, flow->earmark) || fits_held_of(band, flow->earmark);
    if (wanted) unhold(of, flow);
    return wanted;
  }
  // It was picked before all that may be picked now: it goes as soon as it fits anywhere.
  Request* head = flow->head();
  const bool fits = may_go(*flow);
  if (!fits && keeps_for(*flow)) return false;
  unhold(of, flow);
  if (!fits) return true;
  if (const Choice to = choose_endpoint(of, head); to.endpoint != kNone) dispatch(of, head, to);
  return true;
}

void Engine::Impl::serve_held(Band& band) {
  for (size_t i = 0; i < held.size();) {
    if (serve_held(band, held[i])) {
      i = 0;  // whom it did not fit before it may fit now
    } else {
      ++i;
    }
  }
}

}  // namespace sluice
