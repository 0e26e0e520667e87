// Every deadline of every parked request: which has passed, and when the next one will.
//
// Borrows the requests. add, remove and pop are O(log n).
#pragma once

#include <algorithm>

#include "core/pool_clocks.h"
#include "core/request.h"

namespace sluice {

class Deadlines {
 public:
  explicit Deadlines(const PoolClocks& clocks) : clocks_(clocks) {}

  void add(Request* r) {
    if (r->serving_deadline != kNever) serving_.push(r);
    if (r->empty_deadline != kNever) empty_.push(r);
    if (r->wall_deadline != kNever) wall_.push(r);
  }
  void remove(Request* r) {
    if (r->in_serving.queued()) serving_.remove(r);
    if (r->in_empty.queued()) empty_.remove(r);
    if (r->in_wall.queued()) wall_.remove(r);
  }
  // A request with a deadline at or before NOW, or null. It stays in until removed.
  Request* passed(TimeNs now) const {
    if (!serving_.empty() && due(PoolClocks::kServing, serving_.top()->serving_deadline, now))
      return serving_.top();
    if (!empty_.empty() && due(PoolClocks::kEmpty, empty_.top()->empty_deadline, now))
      return empty_.top();
    if (!wall_.empty() && wall_.top()->wall_deadline <= now) return wall_.top();
    return nullptr;
  }
  TimeNs next() const {
    TimeNs at = kNever;
    if (!serving_.empty())
      at = std::min(at, clocks_.when(PoolClocks::kServing, serving_.top()->serving_deadline));
    if (!empty_.empty())
      at = std::min(at, clocks_.when(PoolClocks::kEmpty, empty_.top()->empty_deadline));
    if (!wall_.empty()) at = std::min(at, wall_.top()->wall_deadline);
    return at;
  }
  // The earliest deadline of R if the pool stays as it is. Policies see Request::nominal_deadline.
  TimeNs earliest(const Request& r) const {
    TimeNs at = r.wall_deadline;
    if (r.serving_deadline != kNever)
      at = std::min(at, clocks_.when(PoolClocks::kServing, r.serving_deadline));
    if (r.empty_deadline != kNever)
      at = std::min(at, clocks_.when(PoolClocks::kEmpty, r.empty_deadline));
    return at;
  }

 private:
  bool due(PoolClocks::Which which, TimeNs reading, TimeNs now) const {
    return reading <= clocks_.read(which, now);
  }

  const PoolClocks& clocks_;
  ServingQueue serving_;
  EmptyQueue empty_;
  WallQueue wall_;
};

}  // namespace sluice
