// How much one endpoint can take, learnt from what it says of itself (mode = "auto").
//
// Two limits: requests in flight, and tokens in flight where the engine tells of its KV cache. Both
// go up while they are what holds work back and nothing waits at the engine, and come down to what
// runs as soon as something of ours stands waiting there; an engine that rejects lowers the first.
//   - Standing: in two reports in a row, and of requests that were in flight all the while. What
//   has
//     just arrived at an engine waits for its next step, which is no queue.
//   - A ceiling that is found again is tried again more and more rarely, up to kProbeWaitMaxNs; one
//     that moved is followed at once, in steps that double as long as they succeed.
//   - Requests of others: what waits is shared out in proportion, and this gateway's limit never
//     falls below its part of what the engine runs, 1 / max(2, gateways).
//   - A report that does not count what has been in flight at the endpoint all the while is not
//     believed, and nothing is learnt from it.
// An endpoint that has never said anything of itself is judged by what it gets done
// (core/rate_search.h), unless other gateways share it.
// Nothing is ever lowered because there is little to do. Threads: as the engine. O(1) a report.
// Design: docs/ARCHITECTURE.md "Room".
#pragma once

#include <cstdint>

#include "core/rate_search.h"
#include "core/types.h"

namespace sluice {

class RoomLearner {
 public:
  static constexpr uint32_t kFirstRequests = RateSearch::kFirst;
  static constexpr TimeNs kProbeWaitMinNs = 100'000'000, kProbeWaitMaxNs = 1'600'000'000;
  static constexpr TimeNs kRecentNs = 1'000'000'000;  // how long a number of running is remembered
  static constexpr TimeNs kSettledNs = 200'000'000;   // nothing has just arrived for so long
  static constexpr uint32_t kDoubtMax = 3;            // reports in a row that do not add up: say so

  struct Seen {
    TimeNs now = 0;
    uint32_t waiting = 0, running = 0;
    float kv_used = 0;           // 0 .. 1
    uint64_t kv_tokens_max = 0;  // 0 = not told
    // Requests of ours in flight there: at least, since the report before was asked for; at most,
    // since this one was.
    uint32_t own_low = 0, own_high = 0;
    uint64_t own_tokens = 0;    // when it was asked for
    TimeNs asked_ns = 0;        // when that was
    bool tokens_short = false;  // a request was held back for its size since then
    double share = 1;           // of the limit that all who had work could take together

    uint64_t present() const { return uint64_t{running} + waiting; }
    bool settled() const { return now - asked_ns >= kSettledNs; }
  };
  void observe(const Seen& seen, uint32_t gateways);
  // There are no reports any more: what was being tried is given up.
  void unheard();
  // A request was answered in full when OWN of ours were there, itself included. True if a limit
  // has changed.
  bool finished(TimeNs now, uint64_t cost, uint32_t own, uint32_t gateways);
  // The engine answered 429 or 503 when OWN of ours were with it, the one that it rejected
  // included.
  void rejected(TimeNs now, uint32_t own);

  uint32_t requests() const { return static_cast<uint32_t>(requests_.limit); }
  uint64_t tokens() const { return tokens_.limit; }  // 0 = no limit
  bool doubted() const { return doubts_ >= kDoubtMax; }

 private:
  // One limit: where it is, and when it may be tried whether more would do.
  struct Search {
    uint64_t limit = 0;
    uint64_t found = 0;  // where it came down to last; 0 = it never did
    uint64_t step = 1;
    TimeNs wait = kProbeWaitMinNs, next = 0;
    TimeNs lowered_at = 0;
    // SLACK: how far two ceilings may be apart and be the same.
    void lower(uint64_t to, TimeNs now, uint64_t slack, uint64_t first_step);
    void raise(TimeNs now);
    void give_up();  // what is being tried
  };

  static bool with_others(const Seen& seen, uint32_t gateways);
  static uint32_t own_waiting(const Seen& seen, uint32_t gateways);
  bool bound_by_tokens(const Seen& seen) const;
  void note_running(TimeNs now, uint32_t running);
  uint32_t recent_running() const { return running_[0] > running_[1] ? running_[0] : running_[1]; }

  Search requests_{.limit = kFirstRequests};
  Search tokens_;
  bool heard_ = false;  // a report, ever
  RateSearch rate_;     // until then
  uint64_t kv_tokens_max_ = 0;
  uint32_t waited_before_ = 0;    // of ours, in the report before
  uint32_t running_[2] = {0, 0};  // the most of this second, and of the one before
  TimeNs running_since_ = 0;
  uint32_t doubts_ = 0;
};

}  // namespace sluice
