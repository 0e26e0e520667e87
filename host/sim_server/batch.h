// Continuous batching as a model server does it: slots, a waiting queue in front of them, a token a
// step for each.
//
// A request takes a slot, and the cache for its prompt, in order of arrival; nobody overtakes. Each
// token takes more of the cache, since no engine knows how many there will be: where it is full,
// the youngest that runs is preempted, back to the head of the queue, to compute anew all it had.
// Token k is due at start + TTFT + (k - 1) * ITL, counted from the moment the slot was taken, so
// that a late call to advance() delays a token but never the ones after it. The last token frees
// the slot.
// Threads: one. Time is an argument and must not go back. Complexity: O(log n) a token, submit,
// cancel and preemption.
// Source: vLLM's scheduler, preemption by recomputation.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
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

class Batch {
 public:
  enum class Admission : uint8_t { kAccepted, kQueueFull, kTooLarge };
  struct Token {
    uint64_t id = 0;
    uint32_t index = 0;  // from 1
    bool last = false;
  };

  explicit Batch(const BatchLimits& limits) : limits_(limits) {}

  // Applies to waiting requests at once and to running ones from their next token on. Evicts
  // nobody.
  void set_limits(const BatchLimits& limits, TimeNs now);

  // IDs must ascend. OUTPUT is at least 1.
  Admission submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now);
  // Frees whatever ID holds. False if it is not here (any more).
  bool cancel(uint64_t id, TimeNs now);
  // Appends the tokens that are due, in order of their due time.
  void advance(TimeNs now, std::vector<Token>& out);
  // When advance() has something to do; kNever while nothing runs.
  TimeNs next_deadline() const { return due_.empty() ? kNever : due_.begin()->first; }

  size_t running() const { return running_.size(); }
  size_t waiting() const { return waiting_.size(); }
  uint64_t resident_tokens() const { return resident_; }
  uint64_t preemptions() const { return preemptions_; }

 private:
  struct Request {
    uint64_t prompt = 0;
    uint32_t output = 0;
    uint32_t made = 0;
    TimeNs next = 0;

    uint64_t resident() const { return prompt + made; }
  };

  bool fits(const Request& request) const;
  void start(uint64_t id, Request request, TimeNs now);
  void fill(TimeNs now);                  // free slots from the waiting queue
  bool make_room_for_token(uint64_t id);  // false: ID itself was preempted

  BatchLimits limits_;
  // Ids ascend, so this is the order of arrival. Whatever runs came before whatever waits.
  std::map<uint64_t, Request> waiting_, running_;
  std::set<std::pair<TimeNs, uint64_t>> due_;  // one entry for each running request
  uint64_t resident_ = 0, preemptions_ = 0;
};

}  // namespace sluice::sim_server
