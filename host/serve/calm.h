// Tells when a load has gone, so that the memory it took can be given back.
//
// An allocator keeps what is freed behind anything that is still in use: without more a host would
// stay as large as its busiest moment. Giving back costs a walk over the heap, so it is done once
// after a crowd of at least kCrowdMin has shrunk to half for kCalmLooks looks in a row, not
// whenever a load breathes.
// Threads: one at a time.
#pragma once

#include <algorithm>
#include <cstddef>

namespace sluice {

class Calm {
 public:
  static constexpr size_t kCrowdMin = 256;
  static constexpr int kCalmLooks = 3;

  // LIVE: connections and requests now. True once after each crowd that has gone.
  bool look(size_t live) {
    peak_ = std::max(peak_, live);
    const bool gone = peak_ >= kCrowdMin && live <= peak_ / 2;
    calm_ = gone ? calm_ + 1 : 0;
    if (calm_ < kCalmLooks) return false;
    calm_ = 0;
    peak_ = live;
    return true;
  }

 private:
  size_t peak_ = 0;  // since it was true last
  int calm_ = 0;     // looks in a row
};

}  // namespace sluice
