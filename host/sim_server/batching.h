// What a simulated server needs of whatever batches its requests: slots, a waiting queue in front
// of them, tokens that come due.
//
// A request takes a slot, and the cache for its prompt, in order of arrival; nobody overtakes. Each
// token takes more of the cache, since no engine knows how many there will be: where it is full,
// the youngest that runs is preempted, back to the head of the queue, to compute anew all it had.
// Threads: one. Time is an argument and must not go back.
// Source: vLLM's scheduler, preemption by recomputation.
#pragma once

#include <cstdint>
#include <vector>

#include "core/types.h"

namespace sluice::sim_server {

struct BatchLimits {
  uint32_t max_num_seqs = 8;
  uint64_t max_waiting = 0;  // 0 = no limit
  uint64_t kv_tokens = 0;    // 0 = no limit
  uint64_t time_to_first_token_ns = 0;
  uint64_t inter_token_latency_ns = 0;
};

class Batching {
 public:
  enum class Admission : uint8_t { kAccepted, kQueueFull, kTooLarge };
  struct Token {
    uint64_t id = 0;
    uint32_t index = 0;  // from 1
    bool last = false;
  };

  virtual ~Batching() = default;

  // Evicts nobody.
  virtual void set_limits(const BatchLimits& limits, TimeNs now) = 0;
  // IDs must ascend. OUTPUT is at least 1.
  virtual Admission submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now) = 0;
  // Frees whatever ID holds. False if it is not here (any more).
  virtual bool cancel(uint64_t id, TimeNs now) = 0;
  // Appends the tokens that are due, in order of their due time.
  virtual void advance(TimeNs now, std::vector<Token>& out) = 0;
  // When advance() has something to do; kNever while nothing runs.
  virtual TimeNs next_deadline() const = 0;

  virtual size_t running() const = 0;
  virtual size_t waiting() const = 0;
  virtual uint64_t resident_tokens() const = 0;
  virtual uint64_t preemptions() const = 0;
};

}  // namespace sluice::sim_server
