// Batching with every token on a clock of its own, as if steps took no account of each other.
//
// Token k is due at start + TTFT + (k - 1) * ITL, counted from the moment the slot was taken, so
// that a late call to advance() delays a token but never the ones after it. The last token frees
// the slot.
// Threads: one. Complexity: O(log n) a token, submit, cancel and preemption.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "host/sim_server/batching.h"

namespace sluice::sim_server {

class Batch final : public Batching {
 public:
  explicit Batch(const BatchLimits& limits) : limits_(limits) {}

  // Applies to waiting requests at once and to running ones from their next token on.
  void set_limits(const BatchLimits& limits, TimeNs now) override;
  Admission submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now) override;
  bool cancel(uint64_t id, TimeNs now) override;
  void advance(TimeNs now, std::vector<Token>& out) override;
  TimeNs next_deadline() const override { return due_.empty() ? kNever : due_.begin()->first; }

  size_t running() const override { return running_.size(); }
  size_t waiting() const override { return waiting_.size(); }
  uint64_t resident_tokens() const override { return resident_; }
  uint64_t preemptions() const override { return preemptions_; }

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
