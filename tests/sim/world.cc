#include "tests/sim/world.h"

#include <algorithm>
#include <bit>

namespace sluice::sim {
namespace {

struct Weighted {
  Step::Kind kind;
  uint32_t weight;
};
using Kind = Step::Kind;
constexpr Weighted kWeights[] = {
    {Kind::kSubmit, 320},  {Kind::kBurst, 25},    {Kind::kComplete, 330}, {Kind::kCancel, 20},
    {Kind::kProgress, 30}, {Kind::kRequeue, 40},  {Kind::kServedBy, 10},  {Kind::kEndpoint, 40},
    {Kind::kRemove, 6},    {Kind::kReport, 50},   {Kind::kClass, 8},      {Kind::kReclassify, 3},
    {Kind::kReload, 6},    {Kind::kRelease, 3},   {Kind::kWait, 70},      {Kind::kUntilDue, 30},
    {Kind::kJump, 2},      {Kind::kBackwards, 6}, {Kind::kDrain, 0},      {Kind::kDrainNow, 0},
};
constexpr uint32_t sum_of_weights() {
  uint32_t sum = 0;
  for (const Weighted& w : kWeights) sum += w.weight;
  return sum;
}

}  // namespace

const char* to_string(Step::Kind kind) {
  static constexpr const char* kNames[kStepKinds] = {
      "submit",   "burst",     "complete", "cancel",    "progress",   "requeue",  "served-by",
      "endpoint", "remove",    "report",   "class",     "reclassify", "reload",   "release",
      "wait",     "until-due", "jump",     "backwards", "drain",      "drain-now"};
  return kNames[static_cast<size_t>(kind)];
}

const char* to_string(Finding::By by) {
  static constexpr const char* kNames[] = {"audit", "checker", "oracle", "mirror", "hash"};
  return kNames[static_cast<size_t>(by)];
}

void WorldCounts::add(const WorldCounts& other) {
  requests += other.requests;
  dispatches += other.dispatches;
  calls += other.calls;
  contested += other.contested;
  reloads += other.reloads;
  faults += other.faults;
}

World::World(const Shelf& shelf, const Options& options)
    : shelf_(shelf),
      options_(options),
      draw_(Random::mix(options.seed)),
      culprit_(options.seed + 1),
      idler_(options.seed + 2) {
  overflow_ = chance(4);
  reloads_ = chance(2);
  learns_ = chance(3);
  guesses_ = chance(3);
  prefixes_ = guesses_;
  faulty_ = chance(3);
  books_kept_ = !chance(4);
  mirror_policy_ = mirror_.policy();
  books_policy_ = books_.policy();
  idler_policy_ = idler_.policy();
  culprit_fairness_ = culprit_.fairness();
  culprit_ordering_ = culprit_.ordering();
  culprit_eviction_ = culprit_.eviction();
  culprit_scoring_ = culprit_.scoring();

  Pipeline first = pipeline();
  oracle_ =
      std::make_unique<Oracle>(Oracle::Options{.now = now_,
                                               .overflow = overflow_,
                                               .forgets = reloads_ || first.flow_idle_ttl_ns != 0,
                                               .guesses = guesses_,
                                               .books = books_kept_ ? &books_ : nullptr});
  oracle_->reconfigured(first);
  describe(first);
  engine_ = std::move(*Engine::create(std::move(first), options.seed, now_));
  begin(now_);
  engine_->set_log(now_, &checker_);
  after();
  for (ClassId id = 0; id < kClasses; ++id) set_class(id);
  for (uint32_t slot = 0; slot < kSlots; ++slot)
    if (!chance(4)) set_endpoint(slot);
}

World::~World() = default;

std::vector<Step> World::steps(uint64_t seed, uint32_t count) {
  Random random(Random::mix(seed ^ 0x5eed));
  // Some worlds are calm, some are flooded; some have none of a kind.
  std::vector<Weighted> weights(std::begin(kWeights), std::end(kWeights));
  weights[static_cast<size_t>(Kind::kSubmit)].weight += static_cast<uint32_t>(random.below(150));
  for (size_t i = static_cast<size_t>(Kind::kCancel); i < weights.size(); ++i)
    if (random.below(6) == 0 && weights[i].kind != Kind::kWait) weights[i].weight = 0;
  uint32_t sum = 0;
  for (const Weighted& w : weights) sum += w.weight;
  std::vector<Step> steps(count);
  for (Step& step : steps) {
    uint64_t mark = random.below(sum);
    for (const Weighted& w : weights) {
      step.kind = w.kind;
      if (mark < w.weight) break;
      mark -= w.weight;
    }
    step.salt = random.next();
  }
  // Now and then the host is told to go before the end.
  if (count > 8 && random.below(3) == 0) steps[count - 1 - count / 8].kind = Kind::kDrain;
  if (count > 8 && random.below(3) == 0) steps[count - 1 - count / 16].kind = Kind::kDrainNow;
  return steps;
}

// ---- pipelines ----

PolicyPtr World::one_of(const std::vector<PolicyPtr>& policies) {
  return policies.empty() ? nullptr : policies[below(policies.size())];
}

void World::choose_policies(BandConfig& band) {
  switch (below(faulty_ ? 6 : 4)) {
    case 0:
      break;
    case 1:
      band.fairness = mirror_policy_;
      break;
    case 2:
    case 3:
      band.fairness = one_of(shelf_.fairness);
      break;
    case 4:
      band.fairness = idler_policy_;
      break;
    default:
      band.fairness = culprit_fairness_;
  }
  if (chance(2)) band.ordering = one_of(shelf_.ordering);
  if (faulty_ && chance(4)) band.ordering = culprit_ordering_;
  if (!chance(4)) band.eviction = one_of(shelf_.eviction);
  if (faulty_ && chance(4)) band.eviction = culprit_eviction_;
}

void World::choose_scorers(Pipeline& p) {
  if (books_kept_) p.scorers.push_back({books_policy_, 1});
  for (const PolicyPtr& policy : shelf_.scoring) {
    if (!guesses_ && (policy->descriptor().inputs & SLUICE_IN_PREFIX) != 0) continue;
    if (chance(3)) p.scorers.push_back({policy, static_cast<float>(below(4))});
  }
  if (faulty_ && chance(3)) p.scorers.push_back({culprit_scoring_, 2});
}

Pipeline World::pipeline() {
  Pipeline p;
  p.generation = generation_++;
  double ceiling = 1;
  for (uint32_t i = 0; i < kBands; ++i) {
    if (chance(4) && !(i + 1 == kBands && p.bands.empty())) continue;
    BandConfig& band = p.bands.emplace_back();
    band.name = kBandNames[i];
    band.priority = kPriorities[i];
    band.ttl_ns = chance(3) ? 0 : (5 + below(200)) * kMs;
    band.no_endpoint_ttl_ns = chance(3) ? 0 : (5 + below(200)) * kMs;
    band.requests_max = chance(2) ? 3 + below(25) : 0;
    band.bytes_max = chance(3) ? 2000 + below(9000) : 0;
    band.requests_per_flow_max = chance(4) ? 1 + below(9) : 0;
    band.hold_when_blocked = chance(6);
    band.ceiling = ceiling;
    if (chance(3)) ceiling *= 0.5;
    choose_policies(band);
  }
  p.default_band = static_cast<uint32_t>(below(p.bands.size()));
  if (chance(4)) p.wait_for_better = {.min_gain = 0.1, .wait_max_ns = 20 * kMs};
  p.ranks = chance(3);
  p.requests_max = chance(2) ? 10 + below(40) : 0;
  p.bytes_max = chance(4) ? 9000 + below(20000) : 0;
  p.flows_max = overflow_ ? 1 + static_cast<uint32_t>(below(4)) : 64;
  p.flow_idle_ttl_ns = overflow_ || (reloads_ && chance(2)) ? 100 * kMs : 0;
  p.picker = static_cast<PickerKind>(below(3));
  for (uint32_t t = 0; t < kTenants; ++t)
    if (chance(2)) p.tenants.push_back({kTenantNames[t], below(8)});
  if (guesses_ && chance(2)) p.cost = {.output = 1.5, .cached = 0.25};
  p.prefix_block_tokens = 16;
  choose_scorers(p);
  return p;
}

// In words: what a reader of a history needs to know of P.
void World::describe(const Pipeline& p) {
  const auto name = [](const PolicyPtr& policy) {
    return policy == nullptr ? "built-in" : policy->name();
  };
  tell("pipeline ", p.generation, ": default ", p.bands[p.default_band].name, ", at most ",
       p.requests_max, " requests, ", p.bytes_max, " bytes, ", p.flows_max, " flows, picker ",
       static_cast<int>(p.picker), ", waits for better ", p.wait_for_better.wait_max_ns / kMs,
       " ms");
  for (const BandConfig& b : p.bands)
    tell("  band ", b.name, ": TTL ", b.ttl_ns / kMs, " ms, without endpoints ",
         b.no_endpoint_ttl_ns / kMs, " ms, at most ", b.requests_max, " requests, ", b.bytes_max,
         " bytes, ", b.requests_per_flow_max, " a flow, ceiling ", b.ceiling,
         b.hold_when_blocked ? ", holds" : "", "; ", name(b.fairness), ", ", name(b.ordering), ", ",
         name(b.eviction));
  for (const ScorerConfig& s : p.scorers) tell("  scorer ", name(s.policy), " x ", s.weight);
}

// ---- a call of the engine, and who looks at it ----

void World::found(Finding::By by, const std::string& text) {
  if (finding_) return;
  finding_ = {by, text};
  tell("  !! ", to_string(by), ": ", text);
}

void World::mix(uint64_t value) { hash_ = Random::mix(hash_ ^ value) + 1; }

void World::begin(TimeNs now) { oracle_->begin(now); }

void World::after() {
  ++calls_;
  for (const Decision& d : engine_->decisions()) {
    if (options_.tells) {
      switch (d.kind) {
        case Decision::Kind::kDispatch:
          tell("  -> #", d.id.seq, " to endpoint ", d.endpoint, ", attempt ", d.attempt);
          break;
        case Decision::Kind::kEnd:
          tell("  -> #", d.id.seq, " ends as ", sluice::to_string(d.outcome));
          break;
        case Decision::Kind::kRevoke:
          tell("  -> #", d.id.seq, " is revoked");
      }
    }
    oracle_->decided(d);
    for (const uint64_t part :
         {static_cast<uint64_t>(d.kind), d.id.seq, uint64_t{d.endpoint}, uint64_t{d.attempt},
          static_cast<uint64_t>(d.outcome), static_cast<uint64_t>(d.reason),
          uint64_t{d.retry_after_s}, d.parked_ns})
      mix(part);
    for (const Ranked& ranked : d.ranked)
      mix(uint64_t{ranked.endpoint} << 32 | std::bit_cast<uint32_t>(ranked.score));
  }
  engine_->decisions().clear();
  mix(engine_->next_deadline());
  look();
}

void World::look() {
  oracle_->settled(*engine_);
  const bool compares = calls_ % options_.compare_every == 0;
  // Before the figures are compared: what is broken within would only be met by chance.
  if (compares)
    if (const auto wrong = engine_->audit()) found(Finding::By::kAudit, *wrong);
  if (compares && !finding_) oracle_->compare(*engine_);
  if (oracle_->wrong()) found(Finding::By::kOracle, *oracle_->wrong());
  const CheckReport& report = checker_.report();
  if (!report.first.empty()) {
    const Violation& v = report.first.front();
    found(Finding::By::kChecker, std::string(sluice::to_string(v.kind)) + ": " + v.text);
  }
  if (!report.incomplete.empty()) found(Finding::By::kChecker, report.incomplete);
  if (!mirror_.wrong().empty()) found(Finding::By::kMirror, mirror_.wrong());
}

void World::finish() {
  draw_ = Random(options_.seed);
  if (!finding_) drain(false);
  for (uint64_t n = oracle_->parked() + 2; n > 0 && !finding_; --n) {
    complete(flying());
    wait(now_ + below(4) * kMs);
  }
  if (!finding_) drain(true);
  while (!finding_ && !oracle_->in_flight().empty())
    chance(4) ? requeue(flying()) : complete(flying());
  if (finding_) return;
  if (const auto wrong = engine_->audit()) found(Finding::By::kAudit, *wrong);
  oracle_->compare(*engine_);
  oracle_->over(*engine_);
  if (oracle_->wrong()) found(Finding::By::kOracle, *oracle_->wrong());
}

RequestId World::any() {
  if (ids_.empty()) return {};
  return ids_[ids_.size() - 1 - below(std::min<size_t>(ids_.size(), 60))];
}

RequestId World::flying() {
  const std::vector<RequestId>& all = oracle_->in_flight();
  return all.empty() ? RequestId{} : all[below(all.size())];
}

WorldCounts World::counts() const {
  WorldCounts counts{.requests = ids_.size(),
                     .dispatches = checker_.report().dispatches,
                     .calls = calls_,
                     .contested = checker_.report().contested,
                     .reloads = reload_count_};
  for (const PolicyStats& policy : engine_->stats().policies) counts.faults += policy.faults;
  return counts;
}

}  // namespace sluice::sim
