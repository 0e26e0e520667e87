// From an arrival of a trace to what the engine is told of it, by the host's own routing.
//
// Requests that are alike in flow, objective, model and band are routed once.
// Threads: one. Complexity: O(1) a request that was seen before, apart from its prefix.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/types.h"
#include "host/simulate/setup.h"
#include "host/traces/source.h"

namespace sluice::simulate {

inline constexpr size_t kKindsMax = 100'000;  // of requests remembered

// What requests of one flow, objective, model and band have in common.
struct RequestKind {
  Routed routed;
  std::string tenant;               // the trace's flow, else the flow that the configuration makes
  std::optional<ClassId> eligible;  // nullopt: nobody serves the model
  Submission submission;            // points into `routed`
};

class Submissions {
 public:
  Submissions(const Setup& setup, std::shared_ptr<const ClassMap> classes);

  // Lives as long as somebody holds it.
  std::shared_ptr<const RequestKind> kind_of(const traces::Arrival& arrival, uint64_t id);
  // What a request of KIND tells the engine. PREFIX must live until it is submitted.
  Submission submission(const RequestKind& kind, const traces::Arrival& arrival,
                        const std::vector<uint64_t>& prefix) const;
  // The blocks of ARRIVAL's prompt as the host's prefix index has them, at most kPrefixBlocksMax.
  static void prefix_of(const traces::Arrival& arrival, uint64_t model, std::vector<uint64_t>& out);

 private:
  std::shared_ptr<const RequestKind> make(const traces::Arrival& arrival, uint64_t id) const;

  const Setup& setup_;
  std::shared_ptr<const ClassMap> classes_;
  std::string flow_header_, first_model_;
  bool draws_targets_ = false;  // some model has several
  std::unordered_map<std::string, std::shared_ptr<const RequestKind>> kinds_;
  std::string key_;  // scratch
};

}  // namespace sluice::simulate
