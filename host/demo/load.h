// A load generator: tenants that keep a number of requests open, or requests that come at given
// times, and what each of them waited for.
//
// Closed loop: a group keeps `open` requests under way; each asks for a number of tokens drawn from
// a seeded generator of its own, so that every run asks for the same. After `warmup` the window of
// `duration` is measured: whatever ends within it counts for latency and throughput. Then nothing
// new is sent and what is open is waited for, at most `drain`; what has no answer by then counts as
// unanswered.
// Open loop: arrivals start at their time whatever the servers do, and all of them are measured, to
// the last answer.
// Threads: the caller's, until everything has ended. Units: as the names say.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/demo/stats.h"

namespace sluice::demo {

struct Target {
  std::string host = "127.0.0.1";  // an address
  uint16_t port = 0;
  std::string model;  // served there; empty = every model
};

struct Group {
  std::string name;       // shown: "polite"
  std::string tenant;     // x-llm-d-inference-fairness-id; empty = not sent
  std::string objective;  // x-llm-d-inference-objective; empty = not sent
  std::string model = "sim-model";
  uint32_t open = 0;               // requests under way, closed loop
  std::optional<uint32_t> target;  // sends to this one alone; an index into LoadPlan::targets
  uint32_t tokens_min = 10, tokens_max = 30;
  uint32_t prompt_min = 16, prompt_max = 16;  // tokens
};

struct Arrival {
  uint64_t at_ns = 0;  // since the start
  uint32_t group = 0;
  uint32_t prompt_tokens = 1, output_tokens = 1;
};

struct LoadPlan {
  std::vector<Group> groups;
  std::vector<Arrival> arrivals;  // ascending; open loop beside the closed one
  std::vector<Target> targets;    // in turn, among those that serve the model
  std::chrono::nanoseconds warmup{0}, duration{0};
  std::chrono::nanoseconds drain = std::chrono::seconds(30);
  uint64_t seed = 1;
};

struct GroupReport {
  std::string name;
  uint64_t sent = 0, answered = 0;  // over the whole run
  uint64_t inexact = 0;             // 200s whose number of tokens is not the one asked for
  std::map<unsigned, uint64_t> statuses;
  double per_second = 0;  // 2xx that are measured
  double tokens_per_second = 0;
  Summary first_byte_ms, total_ms, queue_ms;  // of the 2xx that are measured
};

struct LoadReport {
  std::vector<GroupReport> groups;
  double per_second = 0, tokens_per_second = 0;  // of all groups
  double seconds = 0;                            // from the start to the last answer
  bool interrupted = false;                      // by SIGINT or SIGTERM
  std::string first_error;                       // of a request without an answer

  uint64_t sent() const;
  uint64_t answered() const;
  const GroupReport& group(const std::string& name) const;  // which must be there
};

// How a run stands: about every interval.
struct LoadProgress {
  struct Line {
    std::string name;
    uint64_t open = 0, done = 0, failed = 0;  // failed: no answer, or not a 2xx
    double first_byte_p50_ms = 0;             // since the last progress; 0 = none came
  };
  double seconds = 0, seconds_total = 0;
  double per_second = 0;  // since the last progress
  bool draining = false;
  std::vector<Line> lines;
};

LoadReport run_load(const LoadPlan& plan,
                    const std::function<void(const LoadProgress&)>& progress = {},
                    std::chrono::nanoseconds interval = std::chrono::milliseconds(500));

}  // namespace sluice::demo
