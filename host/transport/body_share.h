// One request's share of the body bytes that all requests of a transport are being read with;
// returned by its end.
//
// Threads: a share one at a time; IN_USE is everybody's.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

class BodyShare {
 public:
  // IN_USE: of all. MAX: 0 = no limit.
  BodyShare(std::atomic<uint64_t>& in_use, uint64_t max) : in_use_(in_use), max_(max) {}
  BodyShare(const BodyShare&) = delete;
  ~BodyShare() { give_back(); }
  // Makes the share BYTES. False if that is too much; alone, none is.
  bool grow_to(uint64_t bytes) {
    if (bytes <= mine_) return true;
    const uint64_t others = in_use_.fetch_add(bytes - mine_) - mine_;
    mine_ = bytes;
    return max_ == 0 || others == 0 || others + bytes <= max_;
  }
  void give_back() {
    in_use_ -= mine_;
    mine_ = 0;
  }

 private:
  std::atomic<uint64_t>& in_use_;
  uint64_t max_;
  uint64_t mine_ = 0;
};

}  // namespace sluice
