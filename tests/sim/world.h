// A random world around one engine: a pipeline, endpoints that come, go and lie, clients that burst
// and leave, reloads and policies that fail; and everybody who looks for a mistake in it.
//
// A world is its seed and a list of steps. A step carries what it draws from, so that it does the
// same whatever steps stand before it as far as that can be: any part of a history is a history,
// which is what makes shrinking work.
// After every call of the engine: its decisions go to the oracle, the decision checker reads its
// log, the policies that know better are asked. Every OPTIONS.compare_every calls the engine is
// audited and all its figures are compared. The first finding ends the world.
// Threads: none; worlds share a shelf and nothing else. Deterministic in seed and steps.
#pragma once

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/decision_checker.h"
#include "core/engine.h"
#include "tests/sim/oracle.h"
#include "tests/sim/policies.h"

namespace sluice::sim {

struct Step {
  enum class Kind : uint8_t {
    kSubmit,
    kBurst,
    kComplete,
    kCancel,
    kProgress,
    kRequeue,
    kServedBy,
    kEndpoint,
    kRemove,
    kReport,
    kClass,
    kReclassify,
    kReload,
    kRelease,
    kWait,
    kUntilDue,
    kJump,
    kBackwards,
    kDrain,
    kDrainNow,
  };
  Kind kind = Kind::kSubmit;
  uint64_t salt = 0;
};
inline constexpr uint32_t kStepKinds = 20;
inline constexpr TimeNs kMs = 1'000'000;
const char* to_string(Step::Kind kind);

struct Finding {
  enum class By : uint8_t { kAudit, kChecker, kOracle, kMirror, kHash };
  By by = By::kOracle;
  std::string text;
};
const char* to_string(Finding::By by);

struct WorldCounts {
  uint64_t requests = 0, dispatches = 0, calls = 0, contested = 0, reloads = 0, faults = 0;
  void add(const WorldCounts& other);
};

class World {
 public:
  struct Options {
    uint64_t seed = 1;
    uint32_t compare_every = 1;  // calls
    bool tells = false;          // writes its history down in words
  };
  World(const Shelf& shelf, const Options& options);
  ~World();

  // The seed's own steps.
  static std::vector<Step> steps(uint64_t seed, uint32_t count);
  void step(const Step& step);
  void finish();  // lets everything end, and looks whether anything is left

  const std::optional<Finding>& finding() const { return finding_; }
  uint64_t hash() const { return hash_; }  // of everything that was decided and answered
  WorldCounts counts() const;
  const std::string& history() const { return history_; }

 private:
  template <typename... Words>
  void tell(const Words&... words);
  void describe(const Pipeline& pipeline);
  void found(Finding::By by, const std::string& text);
  void mix(uint64_t value);
  Pipeline pipeline();
  void choose_policies(BandConfig& band);
  void choose_scorers(Pipeline& pipeline);
  PolicyPtr one_of(const std::vector<PolicyPtr>& policies);
  void begin(TimeNs now);
  void after();
  void look();

  // world_steps.cc
  void submit();
  void complete(RequestId id);
  Completion completion();
  void cancel();
  void progress();
  void requeue(RequestId id);
  void served_by();
  void set_endpoint(uint32_t slot);
  void remove_endpoint();
  void report();
  void set_class(ClassId id);
  void reclassify();
  void reload();
  void release();
  void wait(TimeNs until);
  void drain(bool at_once);
  RequestId any();     // of all that ever were, mostly a late one
  RequestId flying();  // in flight, if anything is
  uint64_t below(uint64_t n) { return draw_.below(n); }
  bool chance(uint64_t one_in) { return draw_.below(one_in) == 0; }

  const Shelf& shelf_;
  Options options_;
  // What kind of world it is.
  bool overflow_, reloads_, learns_, guesses_, faulty_, prefixes_, books_kept_;
  Random draw_;  // of the step that runs
  TimeNs now_ = 1'000'000'000;
  uint64_t generation_ = 1;
  Mirror mirror_;
  Bookkeeper books_;
  Culprit culprit_;
  Idler idler_;
  PolicyPtr mirror_policy_, books_policy_, idler_policy_;
  PolicyPtr culprit_fairness_, culprit_ordering_, culprit_eviction_, culprit_scoring_;
  std::vector<PolicyPtr> fairness_, ordering_, eviction_, scoring_;
  std::unique_ptr<Oracle> oracle_;
  DecisionChecker checker_;
  std::unique_ptr<Engine> engine_;
  std::vector<RequestId> ids_;
  std::array<EndpointReport, kSlots> reports_;  // the last of each
  std::optional<Finding> finding_;
  uint64_t hash_ = 0, calls_ = 0, reload_count_ = 0;
  std::string history_;
};

template <typename... Words>
void World::tell(const Words&... words) {
  if (!options_.tells) return;
  std::ostringstream text;
  (text << ... << words);
  history_ += text.str() + "\n";
}

}  // namespace sluice::sim
