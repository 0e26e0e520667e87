// Which of many is due first, as each of them is told when it is due.
//
// Threads: one. Complexity: set O(log count), the rest O(1).
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "core/types.h"

namespace sluice::simulate {

class Earliest {
 public:
  // All are due never.
  explicit Earliest(size_t count = 1)
      : leaves_(std::bit_ceil(std::max<size_t>(count, 1))), due_(2 * leaves_, Due{kNever, 0}) {
    for (size_t i = 0; i < leaves_; ++i) due_[leaves_ + i].index = static_cast<uint32_t>(i);
    for (size_t node = leaves_; node-- > 1;) settle(node);
  }
  void set(uint32_t index, TimeNs at) {
    size_t node = leaves_ + index;
    if (due_[node].at == at) return;
    due_[node].at = at;
    while ((node /= 2) != 0) settle(node);
  }
  TimeNs at() const { return due_[1].at; }
  uint32_t index() const { return due_[1].index; }  // the lowest of those that are due then
  TimeNs at(uint32_t index) const { return due_[leaves_ + index].at; }

 private:
  struct Due {
    TimeNs at;
    uint32_t index;
  };
  void settle(size_t node) {
    const Due &left = due_[2 * node], &right = due_[2 * node + 1];
    due_[node] = right.at < left.at ? right : left;
  }

  size_t leaves_;
  std::vector<Due> due_;  // a tree: the root is 1, the leaves are the last half
};

}  // namespace sluice::simulate
