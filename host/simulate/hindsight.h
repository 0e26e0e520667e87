// What a request would have waited at each server, had it been sent there when it arrived and
// everything else happened as it did: the yardstick of scheduling regret.
//
// At its arrival a *ghost* of the request joins the queue of every eligible server. It takes no
// place and delays nobody; the first server at which everybody who was there before it has been let
// in, and that has room for one more like it, tells the least wait.
// Threads: one. Complexity: O(1) a call. Memory: a row for each request whose ghosts are out.
#pragma once

#include <vector>

#include "core/types.h"

namespace sluice::simulate {

struct GhostId {
  uint32_t row = kNone;
  uint32_t generation = 0;
};

class Ghosts {
 public:
  GhostId add(TimeNs arrival) {
    uint32_t row = free_;
    if (row == kNone) {
      row = static_cast<uint32_t>(rows_.size());
      rows_.emplace_back();
    } else {
      free_ = rows_[row].next_free;
    }
    Row& r = rows_[row];
    r.arrival = arrival;
    r.wait = kNever;
    return {row, r.generation};
  }
  // Still looking for a place.
  bool waits(GhostId id) const {
    return rows_[id.row].generation == id.generation && rows_[id.row].wait == kNever;
  }
  // A server has room for it.
  void admitted(GhostId id, TimeNs now) {
    rows_[id.row].wait = now - std::min(now, rows_[id.row].arrival);
  }
  // Its request is over, and so is it. Returns the least wait; kNever if there was room nowhere.
  TimeNs remove(GhostId id) {
    Row& r = rows_[id.row];
    ++r.generation;
    r.next_free = std::exchange(free_, id.row);
    return r.wait;
  }

 private:
  struct Row {
    TimeNs arrival = 0, wait = kNever;
    uint32_t generation = 0, next_free = kNone;
  };
  std::vector<Row> rows_;
  uint32_t free_ = kNone;
};

}  // namespace sluice::simulate
