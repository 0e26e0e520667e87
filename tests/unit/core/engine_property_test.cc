// Random histories: whatever drivers do, in whatever order, the ledger adds up after every call,
// every promise that the decision log can show is kept, and the same history gives the same
// decisions.

#include <map>
#include <set>

#include "core/decision_checker.h"
#include "core/picker.h"
#include "tests/unit/core/engine_fixture.h"
#include "tests/unit/core/policy_double.h"

namespace sluice {
namespace {

constexpr uint32_t kSlots = 4;
constexpr uint32_t kClasses = 4;

// A fairness policy that believes its events alone: whenever it is asked, the flows that it holds
// for ready must be those that the table shows.
class Mirror {
 public:
  PolicyPtr policy() {
    static const sluice_fairness_v1 vtable{
        .observe =
            [](const void*, void* state, const sluice_flows*, const sluice_events* events) {
              auto& ready = *static_cast<std::set<uint32_t>*>(state);
              for (uint32_t i = 0; i < events->count; ++i) hear(events->row[i], ready);
            },
        .pick =
            [](const void* self, void* state, const sluice_flows* flows, uint64_t*) {
              return pick(*static_cast<const Mirror*>(self),
                          *static_cast<const std::set<uint32_t>*>(state), *flows);
            }};
    static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable},
                                                  {nullptr, nullptr}};
    descriptor_ = describe_double(interfaces);
    descriptor_.events = ~uint64_t{0};
    descriptor_.state_new = [](const void*, const sluice_scope*, sluice_error*) -> void* {
      return new std::set<uint32_t>;
    };
    descriptor_.state_free = [](const void*, void* state) {
      delete static_cast<std::set<uint32_t>*>(state);
    };
    return std::make_shared<const Policy>(&descriptor_, this, "test/mirror");
  }
  mutable uint64_t asked = 0;
  mutable std::string wrong;

 private:
  static void hear(const sluice_event& event, std::set<uint32_t>& ready) {
    switch (event.type) {
      case SLUICE_EV_WAITING:
      case SLUICE_EV_UNBLOCKED:
        ready.insert(event.slot);
        break;
      case SLUICE_EV_IDLE:
      case SLUICE_EV_BLOCKED:
      case SLUICE_EV_FLOW_REMOVED:
        ready.erase(event.slot);
        break;
      default:
        break;
    }
  }
  static uint32_t pick(const Mirror& self, const std::set<uint32_t>& ready,
                       const sluice_flows& flows) {
    ++self.asked;
    std::set<uint32_t> shown;
    for (uint32_t slot = 0; slot < flows.slots; ++slot)
      if (flows.ready_bits[slot / 64] >> (slot % 64) & 1) shown.insert(slot);
    if (shown != ready && self.wrong.empty())
      self.wrong = "heard of " + std::to_string(ready.size()) + " ready flows, shown " +
                   std::to_string(shown.size());
    return shown.empty() ? SLUICE_NONE : *shown.begin();
  }
  sluice_policy_v1 descriptor_{};
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {
    Result<std::unique_ptr<Engine>> made = Engine::create(pipeline(), seed, now_);
    engine_ = std::move(*made);
    engine_->set_log(now_, &checker_);
  }

  // The hash of everything that was decided.
  uint64_t run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step();
    EXPECT_EQ(mirror_.wrong, "");
    asked_ = mirror_.asked;
    const CheckReport& report = checker_.report();
    for (const Violation& v : report.first)
      ADD_FAILURE() << "record " << v.line << ": " << to_string(v.kind) << ": " << v.text;
    EXPECT_EQ(report.violations_in_all(), 0u);
    EXPECT_EQ(report.incomplete, "");
    dispatches_ = report.dispatches;
    contested_ = report.contested;
    return hash_;
  }
  uint64_t dispatches() const { return dispatches_; }
  uint64_t contested() const { return contested_; }
  uint64_t asked() const { return asked_; }

 private:
  Pipeline pipeline() {
    Pipeline p = three_bands();
    p.generation = generation_++;
    double ceiling = 1;
    for (BandConfig& band : p.bands) {
      band.ttl_ns = random_.below(3) == 0 ? 0 : 1000 + random_.below(20000);
      band.no_endpoint_ttl_ns = random_.below(3) == 0 ? 0 : 1000 + random_.below(20000);
      band.requests_max = random_.below(3) == 0 ? 5 + random_.below(30) : 0;
      band.bytes_max = random_.below(4) == 0 ? 3000 + random_.below(9000) : 0;
      band.requests_per_flow_max = random_.below(4) == 0 ? 1 + random_.below(9) : 0;
      band.hold_when_blocked = random_.below(5) == 0;
      band.ceiling = ceiling;
      if (random_.below(3) == 0) ceiling *= 0.5;
      // The same objects in every pipeline: some bands keep one over a reload, with its state.
      if (random_.below(2) == 0) band.fairness = listener_;
      if (random_.below(2) == 0) band.ordering = shortest_policy_;
    }
    if (random_.below(4) == 0) p.bands.erase(p.bands.begin() + static_cast<int>(random_.below(3)));
    p.default_band = static_cast<uint32_t>(random_.below(p.bands.size()));
    if (random_.below(3) == 0) p.wait_for_better = {.min_gain = 0.1, .wait_max_ns = 2000};
    p.ranks = random_.below(2) == 0;
    p.requests_max = random_.below(2) == 0 ? 40 : 0;
    p.flows_max = 1 + static_cast<uint32_t>(random_.below(8));
    p.flow_idle_ttl_ns = 50000;
    p.picker = static_cast<PickerKind>(random_.below(3));
    for (uint64_t t = random_.below(3); t > 0; --t)
      p.tenants.push_back({"t" + std::to_string(t), random_.below(6)});
    return p;
  }

  void step() {
    now_ += random_.below(4) == 0 ? random_.below(3000) : 0;
    switch (random_.below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        submit();
        break;
      case 6:
      case 7:
      case 8:
      case 9:
        complete();
        break;
      case 10:
        if (const RequestId id = any(); id.seq != 0 && random_.below(2) == 0) {
          engine_->cancel(now_, id);
        } else if (id.seq != 0) {
          engine_->served_by(now_, id, slot());
        }
        break;
      case 11:
        if (const RequestId id = any(); id.seq != 0)
          engine_->progress(now_, id, static_cast<uint32_t>(random_.below(300)));
        break;
      case 12:
      case 13:
        if (const RequestId id = any(); id.seq != 0)
          engine_->requeue(
              now_, id,
              random_.below(2) == 0 ? Engine::Requeue::kBroken : Engine::Requeue::kRejected);
        break;
      case 14:
      case 15:
        set_endpoint();
        break;
      case 16:
        engine_->remove_endpoint(now_, slot());
        break;
      case 17: {
        std::vector<uint32_t> members;
        for (uint32_t s = 0; s < kSlots; ++s)
          if (random_.below(2) == 0) members.push_back(s);
        engine_->set_class(now_, static_cast<ClassId>(random_.below(kClasses)), members);
        break;
      }
      case 18:
        if (random_.below(8) == 0) {
          EXPECT_TRUE(engine_->reconfigure(now_, pipeline()).ok());
        } else {
          report();
        }
        break;
      default:
        if (const TimeNs due = engine_->next_deadline(); due != kNever) now_ = std::max(now_, due);
        engine_->advance(now_);
    }
    for (const Decision& d : engine_->decisions()) check_choice(d);
    for (const Decision& d : engine_->decisions())
      for (uint64_t part :
           {static_cast<uint64_t>(d.kind), d.id.seq, uint64_t{d.endpoint}, uint64_t{d.attempt},
            static_cast<uint64_t>(d.outcome), uint64_t{d.retry_after_s}, d.parked_ns})
        hash_ = Random::mix(hash_ ^ part);
    engine_->decisions().clear();
    ASSERT_GT(engine_->next_deadline(), now_) << "it would be called again and again";
    const auto wrong = engine_->audit();
    ASSERT_FALSE(wrong) << *wrong;
  }

  // A request with a subset went to a member of it; where choices are ranked, the one is the first.
  void check_choice(const Decision& d) {
    if (d.kind != Decision::Kind::kDispatch) return;
    const auto allowed = only_.find(d.id.seq);
    if (allowed != only_.end()) {
      ASSERT_EQ(std::ranges::count(allowed->second, d.endpoint), 1);
    }
    if (!engine_->pipeline().ranks) {
      EXPECT_TRUE(d.ranked.empty());
      return;
    }
    ASSERT_FALSE(d.ranked.empty());
    EXPECT_EQ(d.ranked.front().endpoint, d.endpoint);
    std::set<uint32_t> seen;
    for (const Ranked& ranked : d.ranked) EXPECT_TRUE(seen.insert(ranked.endpoint).second);
  }

  void set_endpoint() {
    EndpointLimits limits(static_cast<uint32_t>(random_.below(5)));
    if (random_.below(2) == 0) limits.tokens = 1 + random_.below(1500);
    if (random_.below(3) == 0) limits.prefill_tokens = 1 + random_.below(800);
    if (random_.below(2) == 0) {
      limits.requests = kNone;
      limits.learn = true;
    }
    engine_->set_endpoint(now_, slot(), limits, random_.below(4) != 0);
  }
  void report() {
    if (random_.below(2) == 0) engine_->report_asked(now_, slot());
    EndpointReport report{.taken_ns = now_};
    report.waiting = static_cast<uint32_t>(random_.below(4));
    report.running = static_cast<uint32_t>(random_.below(9));
    report.kv_used = static_cast<float>(random_.unit());
    report.kv_tokens_max = random_.below(3) == 0 ? 0 : 1000 * (1 + random_.below(2));
    engine_->report(now_, slot(), report);
  }

  void submit() {
    const std::string flow = "flow-" + std::to_string(random_.below(12));
    Submission s;
    s.flow = flow;
    s.generation = generation_ - 1;
    s.band = static_cast<uint32_t>(random_.below(3));
    s.eligible = static_cast<ClassId>(random_.below(kClasses));
    s.tenant = random_.below(3) == 0 ? static_cast<uint32_t>(random_.below(2)) : kNone;
    s.weight_milli = static_cast<uint32_t>(1 + random_.below(4000));
    s.bytes = random_.below(1000);
    s.prompt_tokens = static_cast<uint32_t>(random_.below(500));
    s.output_expected = static_cast<uint32_t>(random_.below(100));
    s.streams = random_.below(2) == 0;
    if (random_.below(6) == 0) s.wall_deadline_ns = now_ + random_.below(5000);
    std::vector<uint32_t> only;
    for (uint32_t slot = 0; slot < kSlots; ++slot)
      if (random_.below(2) == 0) only.push_back(slot);
    if (random_.below(4) == 0) s.only = only;
    ids_.push_back(engine_->submit(now_, s));
    if (s.only) only_[ids_.back().seq] = only;
  }
  void complete() {
    for (int tries = 0; tries < 8; ++tries) {
      const RequestId id = any();
      const Outcome outcome[] = {Outcome::kCompleted, Outcome::kUpstreamError,
                                 Outcome::kClientGone};
      if (id.seq == 0 ||
          engine_->complete(now_, id,
                            {.outcome = outcome[random_.below(3)],
                             .has_usage = random_.below(2) == 0,
                             .prompt_tokens = static_cast<uint32_t>(random_.below(600)),
                             .cached_tokens = static_cast<uint32_t>(random_.below(600)),
                             .output_tokens = static_cast<uint32_t>(random_.below(200)),
                             .was_full = random_.below(8) == 0}))
        return;
    }
  }
  // Mostly one that may still live.
  RequestId any() {
    if (ids_.empty()) return {};
    const size_t recent = std::min<size_t>(ids_.size(), 60);
    return ids_[ids_.size() - 1 - random_.below(recent)];
  }
  uint32_t slot() { return static_cast<uint32_t>(random_.below(kSlots)); }

  Random random_;
  Mirror mirror_;
  PolicyPtr listener_ = mirror_.policy();
  OrderingDouble shortest_{
      .key = [](const sluice_requests& r, uint32_t row) { return uint64_t{r.prompt_tokens[row]}; }};
  PolicyPtr shortest_policy_ = shortest_.policy();
  TimeNs now_ = 1'000'000;
  uint64_t generation_ = 1;
  std::unique_ptr<Engine> engine_;
  DecisionChecker checker_;
  std::vector<RequestId> ids_;
  std::map<uint64_t, std::vector<uint32_t>> only_;  // by sequence
  uint64_t hash_ = 0, dispatches_ = 0, contested_ = 0, asked_ = 0;
};

TEST(EngineProperty, EveryHistoryKeepsTheLedgerAndThePromises) {
  uint64_t dispatches = 0, contested = 0, asked = 0;
  for (uint64_t seed = 1; seed <= 400 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    history.run(500);
    dispatches += history.dispatches();
    contested += history.contested();
    asked += history.asked();
  }
  EXPECT_GT(asked, 5000u);
  // The histories are worth something only if they dispatch, and under contention.
  EXPECT_GT(dispatches, 15000u);
  EXPECT_GT(contested, 1000u);
}

TEST(EngineProperty, TheSameHistoryGivesTheSameDecisions) {
  for (uint64_t seed : {11, 12, 13}) EXPECT_EQ(History(seed).run(1000), History(seed).run(1000));
  EXPECT_NE(History(11).run(1000), History(12).run(1000));
}

}  // namespace
}  // namespace sluice
