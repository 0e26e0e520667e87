#include "host/simulate/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "core/picker.h"
#include "host/simulate/simulation_impl.h"
#include "host/traces/limits.h"

namespace sluice::simulate {
namespace {

// A trace lasts 10 years at most; what its servers are not done with a year later never ends.
constexpr TimeNs kRunMaxNs = traces::kTraceMaxNs + TimeNs{365} * 24 * 3600 * 1'000'000'000;
constexpr uint64_t kIdleScrapes = 1000;    // of a server in a row; then the clock jumps ahead
constexpr uint64_t kProgressEvery = 4096;  // requests

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// The same pipeline for a picker without a queue: nothing is ever kept back.
Pipeline without_queue(Pipeline pipeline) {
  for (BandConfig& band : pipeline.bands) band.ceiling = 1;
  pipeline.wait_for_better = {};
  return pipeline;
}

}  // namespace

Result<RunResult> Simulation::run() {
  const double cpu_before = cpu_seconds();
  Pipeline pipeline = options_.direct ? without_queue(setup_.pipeline) : setup_.pipeline;
  auto engine = Engine::create(std::move(pipeline), options_.seed, now_);
  if (!engine) return Error{engine.error()};
  engine_ = std::move(*engine);
  start_servers();

  while (true) {
    const TimeNs arrival = trace_.next_at();
    const TimeNs arrives = arrival == kNever ? kNever : std::max(now_, kStart + arrival);
    if (arrives == kNever && under_way_ == 0) break;
    if (now_ - kStart > kRunMaxNs)
      return Error{fmt::format(
          "error: after 11 years {} requests are still under way; are the servers' times in "
          "milliseconds?",
          under_way_)};
    if (under_way_ == 0) skip_scrapes(arrives);
    const TimeNs served = servers_due_.at();
    const TimeNs due = engine_->next_deadline();
    const TimeNs next = std::min({served, due, arrives});
    if (next == kNever) {
      // What is parked waits for what will never come.
      engine_->drain_now(now_);
      act();
      continue;
    }
    // At the same moment servers come first, then time itself, then scrapes, then arrivals.
    now_ = std::max(now_, std::min(next, scrapes_due_.at()));
    if (served <= now_) {
      hear(servers_due_.index());
      act();
    } else if (due <= now_) {
      engine_->advance(now_);
      act();
    } else if (scrapes_due_.at() <= now_) {
      scrape(scrapes_due_.index());
    } else {
      arrive();
    }
  }
  if (const auto failure = trace_.failure()) return Error{*failure};
  RunResult result = measures_.result(since_start(last_arrival_), since_start(now_));
  result.direct = options_.direct;
  result.seed = options_.seed;
  result.config = setup_.file;
  result.hash = hash_;
  result.cpu_s = cpu_seconds() - cpu_before;
  return result;
}

void Simulation::start_servers() {
  const config::Pool& pool = setup_.config.pool;
  servers_.reserve(setup_.servers.size());
  servers_due_ = scrapes_due_ = Earliest(setup_.servers.size());
  std::vector<ServedModels> served;
  for (uint32_t slot = 0; slot < setup_.servers.size(); ++slot) {
    servers_.emplace_back(setup_.servers[slot], ghosts_);
    const config::Endpoint& endpoint = pool.endpoints[slot];
    EndpointLimits limits = limits_of(pool, endpoint);
    if (options_.direct) limits = EndpointLimits();
    engine_->set_endpoint(now_, slot, limits, true);
    served.push_back({slot, endpoint.models.empty(), endpoint.models});
    EndpointReport& report = reports_.emplace_back();
    report.ints = label_hashes(setup_.pool, endpoint);
    report.kv_tokens_max = setup_.servers[slot].kv_tokens;
    // Not all at once, as scrapers of one process do not ask all at once either.
    scrapes_due_.set(slot, kStart + pool.scrape_interval_ns * slot / setup_.servers.size());
    pooled_blocks_max_ += setup_.servers[slot].kv_tokens / kBlockTokens;
    room_.push_back(0);
    free_slots_.push_back(setup_.servers[slot].max_running);
  }
  for (const ModelClasses::Change& change : classes_.update(now_, served)) {
    engine_->set_class(now_, change.id, change.members);
    if (change.id >= members_.size()) {
      members_.resize(change.id + 1);
      member_sets_.resize(change.id + 1);
    }
    members_[change.id] = change.members;
    for (const uint32_t slot : change.members) member_sets_[change.id].set(slot);
  }
  rooms_.resize(members_.size());
  waiting_.resize(members_.size());
  parked_.resize(setup_.pipeline.bands.size());
  submissions_ = std::make_unique<Submissions>(setup_, classes_.map());
  for (uint32_t slot = 0; slot < servers_.size(); ++slot) note_room(slot);
  act();
}

void Simulation::arrive() {
  const traces::Arrival& arrival = trace_.take();
  uint32_t index = static_cast<uint32_t>(live_.size());
  if (free_.empty()) {
    live_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Live& r = live_[index];
  const uint64_t number = r.number = next_number_++;
  r.kind = submissions_->kind_of(arrival, r.number);
  r.client = arrival.client;
  r.server = kNone;
  r.parked_with_room = r.queued = 0;
  r.parked = false;
  r.record = {};
  r.record.band = r.kind->routed.band;
  r.record.tenant = measures_.tenant(r.kind->tenant, r.kind->routed.weight_milli / 1000.0);
  r.record.prompt = std::max(arrival.prompt_tokens, 1U);
  r.record.output = std::max(arrival.output_tokens, 1U);
  r.record.arrival = since_start(now_);
  Submissions::prefix_of(arrival, r.kind->submission.model_hash, r.prefix);
  measures_.prefix(r.record.prompt, pooled_blocks(r.prefix) * kBlockTokens,
                   ideal_blocks(r.prefix) * kBlockTokens);
  last_arrival_ = now_;
  ++under_way_;
  measures_.arrived(r.record.arrival, r.record);
  if (r.number % kProgressEvery == 0 && options_.on_progress)
    options_.on_progress(trace_.progress());

  r.ghost = ghosts_.add(now_);
  if (!r.kind->eligible) {
    waits(index, 1);
    end(index, Outcome::kRejectedUnknownModel);
    return;
  }
  for (const uint32_t slot : members_[*r.kind->eligible]) {
    servers_[slot].add_ghost(now_, r.ghost, r.record.prompt, r.record.output);
    servers_due_.set(slot, servers_[slot].next_at());
  }
  waits(index, 1);
  change_waiting(r, 1);
  park(r);
  const Submission submission = submissions_->submission(*r.kind, arrival, r.prefix);
  r.id = engine_->submit(now_, submission);
  submitting_ = r.id;
  submitting_live_ = index;
  act();
  if (live_[index].number == number) {
    if (submitting_.slot >= live_of_slot_.size()) live_of_slot_.resize(submitting_.slot + 1, kNone);
    live_of_slot_[submitting_.slot] = index;
  }
  submitting_ = {};
}

// What the pool hears of a server.
void Simulation::scrape(uint32_t server) {
  scrapes_due_.set(server, scrapes_due_.at(server) + setup_.config.pool.scrape_interval_ns);
  engine_->report_asked(now_, server);
  EndpointReport& report = reports_[server];
  report.taken_ns = now_;
  report.waiting = servers_[server].waiting();
  report.running = servers_[server].running();
  report.kv_used = servers_[server].kv_used(now_);
  engine_->report(now_, server, report);
  act();
}

// Nothing is under way UNTIL then: of the scrapes before it the last ones tell all that there is.
void Simulation::skip_scrapes(TimeNs until) {
  const TimeNs interval = setup_.config.pool.scrape_interval_ns;
  if (until - std::min(until, scrapes_due_.at()) <= kIdleScrapes * interval) return;
  for (uint32_t server = 0; server < servers_.size(); ++server) {
    const TimeNs at = scrapes_due_.at(server);
    const uint64_t left = (until - std::min(until, at)) / interval;
    if (left > kIdleScrapes) scrapes_due_.set(server, at + (left - kIdleScrapes) * interval);
  }
}

// What a server has done until now.
void Simulation::hear(uint32_t server) {
  events_.clear();
  servers_[server].advance(now_, events_);
  servers_due_.set(server, servers_[server].next_at());
  for (const ServerEvent& event : events_) {
    Live& r = live_[event.request];
    switch (event.kind) {
      case ServerEvent::Kind::kAdmitted:
        r.record.admitted = since_start(event.at);
        r.record.cached = event.tokens;
        r.queued += event.at - r.queued_since;
        change_waiting(r, -1);
        measures_.waits(r.record.admitted, r.record.tenant, -1);
        break;
      case ServerEvent::Kind::kFirstToken:
        r.record.first_token = since_start(event.at);
        r.record.alone = servers_[server].prefill_alone(r.record.prompt, r.record.cached);
        engine_->progress(now_, r.id, 1);
        break;
      case ServerEvent::Kind::kProgress:
        engine_->progress(now_, r.id, event.tokens);
        break;
      case ServerEvent::Kind::kFinished: {
        r.record.made = event.tokens;
        Completion completion;
        completion.has_usage = true;
        completion.prompt_tokens = r.record.prompt;
        completion.cached_tokens = r.record.cached;
        completion.output_tokens = event.tokens;
        completion.is_stream = true;
        completion.output_events = event.tokens;
        engine_->complete(now_, r.id, completion);
        end(event.request, Outcome::kCompleted);
        break;
      }
    }
  }
  server_changed(server);
}

// Does what the engine decided.
void Simulation::act() {
  while (!engine_->decisions().empty()) {
    decisions_.swap(engine_->decisions());
    for (const Decision& decision : decisions_) {
      const uint32_t index = live_of(decision.id);
      hash_ = Random::mix(hash_ ^ decision.id.seq ^ (uint64_t{decision.endpoint} << 40));
      hash_ = Random::mix(hash_ ^ now_ ^ (static_cast<uint64_t>(decision.outcome) << 56));
      if (decision.kind == Decision::Kind::kDispatch) {
        dispatch(decision, index);
      } else if (decision.kind == Decision::Kind::kEnd) {
        change_waiting(live_[index], -1);
        end(index, decision.outcome);
      } else {
        servers_[live_[index].server].cancel(now_, index);
        servers_due_.set(live_[index].server, servers_[live_[index].server].next_at());
        engine_->complete(now_, decision.id, {.outcome = Outcome::kRevoked});
        end(index, Outcome::kRevoked);
      }
    }
    decisions_.clear();
  }
  count_unused();
}

void Simulation::dispatch(const Decision& decision, uint32_t index) {
  Live& r = live_[index];
  const uint32_t server = decision.endpoint;
  r.parked_with_room += with_room(r) - r.room_before;
  r.parked = false;
  measures_.parked(since_start(now_), r.record.band, --parked_[r.record.band]);
  r.record.dispatched = since_start(now_);
  r.server = server;
  r.queued_since = now_;
  const auto answer =
      servers_[server].submit(now_, {index, r.record.prompt, r.record.output, r.prefix});
  if (answer == ModelServer::Answer::kQueued) return hear(server);
  const bool full = answer == ModelServer::Answer::kFull;
  if (full && !options_.direct) {
    park(r);
    engine_->requeue(now_, r.id, Engine::Requeue::kRejected);
    return;
  }
  // The server's 400, or its 429 where nobody would try again, goes to the client. To the engine
  // any answer completes a request.
  change_waiting(r, -1);
  engine_->complete(now_, r.id, {.outcome = Outcome::kCompleted, .made_nothing = true});
  end(index, full ? Outcome::kRejectedFull : Outcome::kRejectedBad);
}

void Simulation::park(Live& r) {
  r.parked = true;
  r.room_before = with_room(r);
  measures_.parked(since_start(now_), r.record.band, ++parked_[r.record.band]);
}

TimeNs Simulation::with_room(const Live& r) const {
  return rooms_[*r.kind->eligible].with_room(now_, r.record.prompt);
}

void Simulation::waits(uint32_t index, int by) {
  measures_.waits(since_start(now_), live_[index].record.tenant, by);
}

void Simulation::end(uint32_t index, Outcome outcome) {
  Live& r = live_[index];
  if (r.record.admitted == kNever) waits(index, -1);
  if (r.parked) measures_.parked(since_start(now_), r.record.band, --parked_[r.record.band]);
  const TimeNs least = ghosts_.remove(r.ghost);
  const TimeNs waited = r.queued + r.parked_with_room;
  r.record.regret = least == kNever ? 0 : waited - std::min(waited, least);
  const TimeNs now = since_start(now_);
  measures_.ended(now, r.record, outcome, r.server);
  if (options_.on_finished) {
    FinishedRequest f;
    f.id = r.number;
    f.arrival = r.record.arrival;
    f.dispatched = r.record.dispatched;
    f.first_token = r.record.first_token;
    f.finished = now;
    f.flow = r.kind->routed.flow;
    f.band = setup_.pipeline.bands[r.record.band].name;
    f.model = r.kind->routed.target;
    if (r.server != kNone) f.endpoint = setup_.servers[r.server].name;
    f.prompt_tokens = r.record.prompt;
    f.output_tokens = r.record.made;
    f.outcome = outcome;
    f.regret = r.record.regret;
    options_.on_finished(f);
  }
  if (r.client != kNone) trace_.ended(r.client, now);
  r.parked = false;
  r.number = 0;
  free_.push_back(index);
  --under_way_;
}

Result<RunResult> run(const Setup& setup, traces::Source& trace, const RunOptions& options) {
  return Simulation(setup, trace, options).run();
}

}  // namespace sluice::simulate
