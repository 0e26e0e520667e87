// Clients that send a request, wait until it is over, think, and send the next.
//
// They begin spread evenly over one time of thinking. A client sends at most once in
// kClientGapMinNs, so that one who is refused at once and does not think never stops the clock.
// Threads: one. Complexity: O(log clients) a request, memory O(clients).
#pragma once

#include <vector>

#include "host/traces/loads.h"

namespace sluice::traces {

class ClosedLoop {
 public:
  explicit ClosedLoop(const Load& load);

  TimeNs next_at() const;  // kNever = nobody who is not waiting has time left to send
  uint32_t take();         // who sends then: 0 .. clients - 1
  // CLIENT's request is over. Nothing happens if it has none.
  void ended(uint32_t client, TimeNs now);

 private:
  struct Due {
    TimeNs at;
    uint32_t client;
  };
  static bool later(const Due& a, const Due& b) {
    return a.at != b.at ? a.at > b.at : a.client > b.client;
  }

  TimeNs to_, think_;
  std::vector<Due> due_;      // a heap: the earliest first, by number among equals
  std::vector<TimeNs> sent_;  // by client: when its request was sent; kNever = it has none
};

}  // namespace sluice::traces
