// An engine under steady load for benchmarks: a fixed number of requests parked and in flight.
//
// Each turn ends the oldest request in flight, which dispatches one, and submits another to the
// flow that was served, so that every flow's backlog stays as it is. Without a backlog, a turn
// submits to the flow of the request that ended, and that request is dispatched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"

namespace sluice::bench {

// A policy of the tree's own plugins, loaded by dlopen: "fairness_vtc", "vtc". Ends the program if
// it cannot be had.
PolicyPtr load_policy(const std::string& file, const std::string& name);

struct Load {
  uint32_t flows = 10;
  uint32_t bands = 1;
  uint32_t endpoints = 4;
  uint32_t room = 8;           // of each endpoint
  uint32_t in_flight = 0;      // 0 = as many as there is room for
  uint32_t parked = 100;       // at least one a flow
  uint32_t idle_flows = 0;     // beside those: had a request once, now nothing to do
  uint32_t blocked_flows = 0;  // beside those: a request each for one endpoint more, which is full
  uint32_t prompt_blocks = 0;  // prefix hashes of each prompt; its first half is shared by all
};

class BenchEngine {
 public:
  // PIPELINE's bands are replaced by copies of its first. LOG, which may be null, must outlive
  // this.
  BenchEngine(Pipeline pipeline, const Load& load, DecisionLog* log = nullptr);

  void turn();
  // Parks a request of a flow that nobody has heard of, and cancels it.
  void pass_by();
  // Parks another request of FLOW; returns its id.
  RequestId submit(uint32_t flow);
  Engine& engine() { return *engine_; }
  TimeNs now() const { return now_; }

 private:
  void add_bystanders(uint32_t endpoints);
  RequestId submit_bystander(uint64_t number, ClassId eligible);
  void take_decisions();

  Load load_;
  std::unique_ptr<Engine> engine_;
  TimeNs now_ = 1'000'000'000;
  std::vector<std::string> names_;
  std::vector<std::vector<uint64_t>> prompts_;
  std::vector<uint32_t> flow_of_slot_;
  std::vector<RequestId> in_flight_;  // a ring
  size_t oldest_ = 0, count_ = 0;
  uint64_t random_ = 1;
  uint64_t bystanders_ = 0;
};

// One band without limits but with TTLs, everything built in.
Pipeline plain_pipeline();
// The same with the policies of the default pipeline.toml, from their files.
Pipeline standard_pipeline();

}  // namespace sluice::bench
