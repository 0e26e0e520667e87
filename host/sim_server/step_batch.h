// Batching in steps, as a real engine works: a step prefills whoever has come, or makes a token of
// each that runs; with chunked prefill it does both.
//
// A prefill step of n tokens takes prefill base + n * per token, and whoever decodes stands still.
// A decode step of b sequences with c tokens resident takes base + b * per sequence + c * per
// context token. With chunked prefill a step takes the decode step's time, or the prefill base if
// nobody decodes, and per token for up to max_prefill_tokens - b tokens of prompts. Requests join
// between two steps. Where the cache is full, the one of those that decode that was admitted last
// is preempted, to the very head of the queue. A late call to advance() delays tokens but never
// the steps after.
// Threads: one. Complexity: O(running) a step; every step is gone through, every token made: it is
// also the plain thing that the simulator in virtual time, which reckons, is checked against.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "host/sim_server/batching.h"
#include "host/sim_server/options.h"

namespace sluice::sim_server {

class StepBatch final : public Batching {
 public:
  StepBatch(const StepTimes& times, const BatchLimits& limits) : times_(times), limits_(limits) {}

  // Applies from the next step on.
  void set_limits(const BatchLimits& limits, TimeNs now) override;
  Admission submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now) override;
  // The step under way takes as long as it would have.
  bool cancel(uint64_t id, TimeNs now) override;
  void advance(TimeNs now, std::vector<Token>& out) override;
  TimeNs next_deadline() const override { return end_; }

  size_t running() const override { return running_.size(); }
  size_t waiting() const override { return waiting_.size(); }
  uint64_t resident_tokens() const override;
  uint64_t preemptions() const override { return preemptions_; }

 private:
  struct Request {
    uint64_t prompt = 0;
    uint32_t output = 0;
    uint32_t made = 0;
    uint64_t left = 0;    // tokens yet to prefill; 0 = it decodes
    uint64_t chunk = 0;   // of them, in the step under way
    uint64_t joined = 0;  // in the order of their admission

    uint64_t resident() const { return prompt + made; }
  };

  bool fits(const Request& request) const;
  bool preempt();
  void admit(bool newcomers);
  void plan(TimeNs start);
  void finish(std::vector<Token>& out);
  uint64_t decoding() const;

  const StepTimes times_;
  BatchLimits limits_;
  std::deque<std::pair<uint64_t, Request>> waiting_;  // by id
  std::map<uint64_t, Request> running_;
  bool decodes_ = false;  // in the step under way
  TimeNs end_ = kNever;   // of it
  uint64_t joined_ = 0, preemptions_ = 0;
};

}  // namespace sluice::sim_server
