#include <algorithm>

#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {

void Engine::Impl::expire() {
  while (Request* r = deadlines.passed(now_ns)) {
    end_parked(r, endpoints.any_up() ? Outcome::kExpired : Outcome::kRejectedNoEndpoint,
               Reason::kNone, true);
  }
}

void Engine::Impl::end_parked(Request* r, Outcome outcome, Reason reason, bool decide) {
  Band& band = band_of(*r);
  Flow* flow = r->flow;
  uint16_t out = SLUICE_OUT_EXPIRED;
  if (outcome == Outcome::kCancelled) out = SLUICE_OUT_CANCELLED;
  if (outcome == Outcome::kEvicted || outcome == Outcome::kRejectedFull) out = SLUICE_OUT_EVICTED;
  if (outcome == Outcome::kDrained) out = SLUICE_OUT_DRAINED;
  if (decide)
    decisions.push_back({.kind = Decision::Kind::kEnd,
                         .id = r->id,
                         .outcome = outcome,
                         .reason = reason,
                         .retry_after_s = retry_after(band),
                         .parked_ns = r->parked_ns(now_ns)});
  log({.kind = LogRecord::Kind::kEnd, .seq = r->id.seq, .outcome = outcome});
  tell_request(band, SLUICE_EV_SHED, *r, 0, out, r->output_tokens);
  unpark(r);
  count(band, [&](Ledger& l) { ++l.ended[static_cast<size_t>(outcome)]; });
  endpoints.drop(r->cls);
  requests.free(r->id.slot);
  may_be_idle(band, flow);
}

void Engine::Impl::refuse(RequestId id, Band& band, Outcome outcome, Reason reason,
                          uint64_t bytes) {
  log({.kind = LogRecord::Kind::kSubmit, .seq = id.seq, .band = band.log_id, .value = bytes});
  log({.kind = LogRecord::Kind::kEnd, .seq = id.seq, .outcome = outcome});
  count(band, [&](Ledger& l) { ++l.ended[static_cast<size_t>(outcome)]; });
  decisions.push_back({.kind = Decision::Kind::kEnd,
                       .id = id,
                       .outcome = outcome,
                       .reason = reason,
                       .retry_after_s = retry_after(band)});
}

// Notes what R used, and says its cost: the true one where the upstream told it, what was counted
// where the request was cut; else the estimate stands.
uint64_t Engine::Impl::settle(Request* r, const Completion& c) {
  if (c.made_nothing) return 0;
  const TimeNs elapsed = now_ns - r->dispatched_ns;
  if (c.has_usage) {
    if (c.outcome == Outcome::kCompleted)
      estimates.learn(r->model_hash, {.prompt_bytes = r->prompt_bytes,
                                      .prompt_tokens = c.prompt_tokens,
                                      .output_tokens = c.output_tokens,
                                      .choices = r->choices,
                                      .prefix_tokens = r->cached_tokens,
                                      .cached_tokens = c.cached_tokens,
                                      .events = c.output_events,
                                      .elapsed = elapsed});
    r->prompt_tokens = c.prompt_tokens;
    r->cached_tokens = std::min(c.cached_tokens, c.prompt_tokens);
    r->output_tokens = c.output_tokens;
    return cost_of(r->prompt_tokens, r->cached_tokens, r->output_tokens);
  }
  uint32_t output =
      std::max(r->output_tokens, estimates.tokens_of_events(r->model_hash, c.output_events));
  if (output == 0 && c.outcome == Outcome::kCompleted && !c.is_stream) return r->charged;
  // An answer that comes in one piece was worked on all the time, though nothing was seen of it.
  if (output == 0 && !c.is_stream && c.outcome != Outcome::kUpstreamError)
    output = estimates.tokens_of_time(r->model_hash, elapsed, r->output_max, r->choices);
  if (output == 0) return 0;
  r->output_tokens = output;
  return cost_with(*r, output);
}

void Engine::Impl::end_in_flight(Request* r, const Completion& c) {
  Band& band = band_of(*r);
  Flow* flow = r->flow;
  const uint32_t output_before = r->output_tokens;
  const uint64_t cost = settle(r, c);
  const uint64_t charged = r->charged;
  const int64_t change = static_cast<int64_t>(cost) - static_cast<int64_t>(charged);
  band.flows.in_flight(flow, -1, -static_cast<int64_t>(charged));
  if (!planted(Planted::kChargeNotSettled)) band.flows.charge(flow, change);
  band.cost_rate.add(now_ns, cost);
  count(band, [&](Ledger& l) {
    in_flight_changes(l, *r, -1);
    l.served_cost += static_cast<uint64_t>(change);
    ++l.ended[static_cast<size_t>(c.outcome)];
    if (!c.has_usage) return;
    l.prompt_tokens += c.prompt_tokens;
    l.cached_tokens += r->cached_tokens;
    l.output_tokens += c.output_tokens;
  });
  uint16_t out = SLUICE_OUT_COMPLETED;
  if (c.outcome == Outcome::kUpstreamError) out = SLUICE_OUT_UPSTREAM_ERROR;
  if (c.outcome == Outcome::kClientGone) out = SLUICE_OUT_CLIENT_GONE;
  if (c.outcome == Outcome::kRevoked) out = SLUICE_OUT_REVOKED;
  log({.kind = LogRecord::Kind::kEnd, .seq = r->id.seq, .outcome = c.outcome});
  tell_request(band, SLUICE_EV_COMPLETED, *r, change, out, output_before);
  if (c.was_full) {
    endpoints.rejected(r->endpoint);
  } else if (c.outcome == Outcome::kCompleted) {
    endpoints.worked(r->endpoint, cost);
  }
  endpoints.drop(r->cls);
  const uint32_t endpoint = r->endpoint;
  EndpointTable::Load load{charged, r->reserved, r->prefilling};
  requests.free(r->id.slot);
  if (planted(Planted::kRoomKeptOnCancel) && c.outcome == Outcome::kClientGone) load.tokens = 0;
  endpoints.release(endpoint, load);
  may_be_idle(band, flow);
}

// How long until a newcomer of BAND might be served: what is parked in it over its recent rate of
// dispatch.
uint32_t Engine::Impl::retry_after(Band& band) {
  const double rate = band.dispatch_rate.per_second(now_ns);
  double seconds = kRetryAfterMaxSeconds;
  if (rate > 0) seconds = static_cast<double>(band.ledger.parked) / rate;
  // Jitter comes last and downward, or all that is refused for long would come back at once.
  seconds = std::clamp<double>(seconds, kRetryAfterMinSeconds, kRetryAfterMaxSeconds);
  seconds *= 1 - 0.25 * random.unit();
  return std::max(kRetryAfterMinSeconds, static_cast<uint32_t>(seconds + 0.5));
}

// ---- what requests will cost, and take ----

void Engine::Impl::estimate(Request& r) {
  r.prompt_tokens = estimates.prompt_tokens(r.model_hash, r.prompt_bytes);
  r.output_expected = estimates.output_tokens(r.model_hash, r.output_max, r.choices);
}

void Engine::Impl::in_flight_changes(Ledger& l, const Request& r, int by) {
  const auto times = static_cast<uint64_t>(static_cast<int64_t>(by));  // wraps as it should
  l.in_flight += times;
  l.in_flight_bytes += times * r.bytes;
  l.in_flight_cost += times * r.charged;
  l.in_flight_tokens += times * r.reserved;
}

uint64_t Engine::Impl::cost_of(uint32_t prompt, uint32_t cached, uint32_t output) const {
  const uint32_t fresh = prompt - std::min(prompt, cached);
  const double cost =
      fresh + std::min(prompt, cached) * pipeline.cost.cached + output * pipeline.cost.output;
  return static_cast<uint64_t>(cost + 0.5);
}

uint64_t Engine::Impl::cost_with(const Request& r, uint32_t output) const {
  return cost_of(r.prompt_tokens, estimates.cached_tokens(r.model_hash, r.cached_tokens), output);
}

}  // namespace sluice
