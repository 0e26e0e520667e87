// What each kind of step does to a world.
#include <algorithm>

#include "tests/sim/world.h"

namespace sluice::sim {

using Kind = Step::Kind;

void World::step(const Step& step) {
  if (finding_) return;
  draw_ = Random(step.salt);
  switch (step.kind) {
    case Kind::kSubmit:
      return submit();
    case Kind::kBurst:
      for (uint64_t n = 2 + below(14); n > 0 && !finding_; --n) submit();
      return;
    case Kind::kComplete:
      return complete(flying());
    case Kind::kCancel:
      return cancel();
    case Kind::kProgress:
      return progress();
    case Kind::kRequeue:
      return requeue(chance(8) ? any() : flying());
    case Kind::kServedBy:
      return served_by();
    case Kind::kEndpoint:
      return set_endpoint(static_cast<uint32_t>(below(kSlots)));
    case Kind::kRemove:
      return remove_endpoint();
    case Kind::kReport:
      return report();
    case Kind::kClass:
      return set_class(static_cast<ClassId>(below(kClasses)));
    case Kind::kReclassify:
      return reclassify();
    case Kind::kReload:
      return reload();
    case Kind::kRelease:
      return release();
    case Kind::kWait:
      return wait(now_ + below(20) * kMs);
    case Kind::kUntilDue: {
      const TimeNs due = engine_->next_deadline();
      return wait(due != kNever ? due : now_ + kMs);
    }
    case Kind::kJump:  // up to a year
      return wait(now_ + (uint64_t{1} << (28 + below(27))));
    case Kind::kBackwards:
      return wait(now_ - std::min<TimeNs>(now_, below(1000) * kMs));
    case Kind::kDrain:
      return drain(false);
    case Kind::kDrainNow:
      return drain(true);
  }
}

void World::submit() {
  const uint32_t flow = static_cast<uint32_t>(below(kFlows));
  const std::string name = "model|flow-" + std::to_string(flow);
  const Pipeline& p = engine_->pipeline();
  Submission s;
  s.flow = name;
  s.flow_hash = Random::mix(flow + 1);
  s.model_hash = flow % 2;
  // Mostly as the pipeline in force has it, now and then as an older one had it.
  s.generation = p.generation - std::min(p.generation, chance(8) ? below(7) : 0);
  s.band = static_cast<uint32_t>(below(p.bands.size() + chance(20)));
  s.eligible = static_cast<ClassId>(below(kClasses));
  if (flow < kTenants && s.generation == p.generation)
    for (uint32_t t = 0; t < p.tenants.size(); ++t)
      if (p.tenants[t].name == kTenantNames[flow]) s.tenant = t;
  if (chance(30)) s.tenant = static_cast<uint32_t>(below(3));
  s.weight_milli = chance(4) ? static_cast<uint32_t>(1 + below(4000)) : 1000 * (1 + flow % 3);
  s.bytes = below(1500);
  s.prompt_tokens = static_cast<uint32_t>(below(500));
  s.output_expected = static_cast<uint32_t>(below(100));
  if (guesses_ && chance(2)) {
    s.prompt_bytes = static_cast<uint32_t>(below(3000));
    s.output_max = static_cast<uint32_t>(below(3) * 50);
    s.choices = static_cast<uint32_t>(below(3));
  }
  s.streams = chance(2);
  if (chance(6)) s.wall_deadline_ns = now_ + below(100) * kMs;
  std::vector<uint64_t> prefix;
  if (prefixes_)
    for (uint64_t block = 0, n = below(12); block < n; ++block)
      prefix.push_back(Random::mix(block * 8 + (block < 4 ? 0 : flow)));
  s.prefix = prefix;
  std::vector<uint32_t> only;
  for (uint32_t slot = 0; slot < kSlots; ++slot)
    if (chance(2)) only.push_back(slot);
  if (chance(6)) s.only = only;
  begin(now_);
  const RequestId id = engine_->submit(now_, s);
  tell("submit #", id.seq, ": flow ", flow, ", band ", s.band, ", class ", s.eligible, ", ",
       s.prompt_tokens, " + ", s.output_expected, " tokens, ", s.bytes, " bytes",
       s.streams ? ", stream" : "", s.only ? ", subset" : "",
       s.wall_deadline_ns != kNever ? ", deadline" : "");
  ids_.push_back(id);
  oracle_->submitted(id, s, flow);
  after();
}

Completion World::completion() {
  Completion c;
  const uint64_t kind = below(10);
  c.has_usage = kind < 5;
  if (c.has_usage) {
    c.prompt_tokens = static_cast<uint32_t>(below(600));
    c.cached_tokens = static_cast<uint32_t>(below(600));
    c.output_tokens = static_cast<uint32_t>(below(200));
  }
  c.made_nothing = kind == 5;
  c.was_full = chance(10);
  if (kind < 6 || guesses_)
    c.outcome = std::array{Outcome::kCompleted, Outcome::kCompleted, Outcome::kUpstreamError,
                           Outcome::kClientGone}[below(4)];
  if (guesses_) {
    c.is_stream = chance(2);
    c.output_events = c.is_stream ? static_cast<uint32_t>(below(150)) : 0;
  }
  return c;
}

void World::complete(RequestId id) {
  if (id.seq == 0) return;
  Completion c = completion();
  if (oracle_->drained()) c.outcome = Outcome::kRevoked;
  begin(now_);
  const bool said = engine_->complete(now_, id, c);
  tell("complete #", id.seq, " as ", sluice::to_string(c.outcome), c.has_usage ? ", usage" : "",
       c.made_nothing ? ", nothing made" : "", c.was_full ? ", was full" : "");
  oracle_->completed(id, said, c);
  mix(said);
  after();
}

void World::cancel() {
  const RequestId id = any();
  if (id.seq == 0) return;
  begin(now_);
  const Engine::Cancel said = engine_->cancel(now_, id);
  tell("cancel #", id.seq);
  oracle_->cancelled(id, said);
  mix(static_cast<uint64_t>(said));
  after();
}

void World::progress() {
  const RequestId id = chance(8) ? any() : flying();
  if (id.seq == 0) return;
  const auto events = static_cast<uint32_t>(below(300));
  begin(now_);
  engine_->progress(now_, id, events);
  tell("progress of #", id.seq, ": ", events);
  oracle_->progressed(id, events);
  after();
}

void World::requeue(RequestId id) {
  if (id.seq == 0) return;
  const auto why = chance(2) ? Engine::Requeue::kBroken : Engine::Requeue::kRejected;
  begin(now_);
  const bool said = engine_->requeue(now_, id, why);
  tell("requeue #", id.seq, why == Engine::Requeue::kBroken ? ", broken" : ", rejected");
  oracle_->requeued(id, said, why);
  mix(said);
  after();
}

void World::served_by() {
  const RequestId id = chance(8) ? any() : flying();
  if (id.seq == 0) return;
  const auto slot = static_cast<uint32_t>(below(kSlots));
  begin(now_);
  const bool said = engine_->served_by(now_, id, slot);
  tell("#", id.seq, " is served by endpoint ", slot);
  oracle_->served_by(id, said, slot);
  mix(said);
  after();
}

void World::set_endpoint(uint32_t slot) {
  // A slot is given to another endpoint only once it is idle; that it comes back is no other.
  EndpointLimits limits(static_cast<uint32_t>(chance(8) ? 0 : 1 + below(5)));
  if (chance(4)) limits.requests = kNone;
  if (chance(3)) limits.tokens = 1 + below(1500);
  if (chance(3)) limits.prefill_tokens = 1 + below(800);
  if (learns_ && chance(2)) {
    limits.requests = kNone;
    limits.learn = true;
    limits.gateways = 1 + static_cast<uint32_t>(below(2));
  }
  const bool up = !chance(4);
  begin(now_);
  engine_->set_endpoint(now_, slot, limits, up);
  tell("endpoint ", slot, up ? " is up" : " is down", ", at most ", limits.requests, " and ",
       limits.tokens, " tokens and ", limits.prefill_tokens, " of prompts",
       limits.learn ? ", learns" : "");
  oracle_->endpoint_set(slot, limits, up);
  after();
}

void World::remove_endpoint() {
  const auto slot = static_cast<uint32_t>(below(kSlots));
  begin(now_);
  engine_->remove_endpoint(now_, slot);
  tell("endpoint ", slot, " is removed");
  oracle_->endpoint_removed(slot);
  after();
}

void World::report() {
  const auto slot = static_cast<uint32_t>(below(kSlots));
  if (chance(2)) {
    begin(now_);
    engine_->report_asked(now_, slot);
    after();
  }
  EndpointReport& report = reports_[slot];
  switch (below(6)) {
    case 0:  // told again
      break;
    case 1:  // withdrawn
      report.taken_ns = 0;
      break;
    case 2:  // told again as if it were new
      report.taken_ns = now_;
      break;
    default:
      report.taken_ns = chance(4) ? now_ - std::min<TimeNs>(now_, below(5000) * kMs) : now_;
      report.waiting = static_cast<uint32_t>(chance(2) ? 0 : below(5));
      report.running = static_cast<uint32_t>(below(12));
      report.kv_used = static_cast<float>(below(101)) / 100;
      report.kv_tokens_max = chance(3) ? 0 : 500 * (1 + below(4));
  }
  begin(now_);
  engine_->report(now_, slot, report);
  tell("endpoint ", slot, " reports ", report.running, " running, ", report.waiting, " waiting");
  oracle_->reported(slot, report);
  after();
}

void World::set_class(ClassId id) {
  std::vector<uint32_t> members;
  for (uint32_t slot = 0; slot < kSlots; ++slot)
    if (id == 0 ? !chance(8) : chance(2)) members.push_back(slot);
  begin(now_);
  engine_->set_class(now_, id, members);
  tell("class ", id, " has ", members.size(), " members");
  oracle_->class_set(id, members);
  after();
}

void World::reclassify() {
  const uint64_t salt = draw_.next();
  begin(now_);
  tell("reclassify");
  oracle_->reclassifies();
  engine_->reclassify(now_, [&](RequestId id, ClassId current) -> std::optional<ClassId> {
    const uint64_t drawn = Random::mix(salt ^ id.seq);
    std::optional<ClassId> next;
    if (drawn % 4 != 0) {
      if (current != kNone) next = current;
    } else if (drawn % 16 != 0) {
      next = static_cast<ClassId>(drawn / 16 % kClasses);
    }
    oracle_->reclassified(id, current, next);
    return next;
  });
  after();
}

void World::reload() {
  if (!reloads_) return release();
  Pipeline next = pipeline();
  begin(now_);
  describe(next);
  const Pipeline told = next;
  if (const auto done = engine_->reconfigure(now_, std::move(next)); !done)
    found(Finding::By::kOracle, "a reload failed: " + done.error());
  oracle_->reconfigured(told);
  ++reload_count_;
  after();
}

void World::release() {
  const std::string name = std::array{"sim/culprit-fairness", "sim/culprit-ordering",
                                      "sim/culprit-eviction", "sim/culprit-scoring"}[below(4)];
  begin(now_);
  mix(engine_->release_policy(now_, name));
  tell("release ", name);
  oracle_->policy_released(name);
  after();
}

void World::wait(TimeNs until) {
  begin(until);
  engine_->advance(until);
  now_ = std::max(now_, until);
  tell("advance to ", until);
  after();
}

void World::drain(bool at_once) {
  begin(now_);
  at_once ? engine_->drain_now(now_) : engine_->drain(now_);
  tell(at_once ? "drain now" : "drain");
  oracle_->drained(at_once);
  after();
}

}  // namespace sluice::sim
