// A set of endpoint slots: a fixed bit set of kEndpointsMax bits. Copyable; all operations
// O(words).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "core/limits.h"

namespace sluice {

class EndpointSet {
 public:
  bool contains(uint32_t slot) const { return (words_[slot / 64] >> (slot % 64)) & 1; }
  void insert(uint32_t slot) { words_[slot / 64] |= uint64_t{1} << (slot % 64); }
  void erase(uint32_t slot) { words_[slot / 64] &= ~(uint64_t{1} << (slot % 64)); }
  void clear() { words_ = {}; }
  bool empty() const { return *this == EndpointSet{}; }

  uint32_t count() const {
    uint32_t n = 0;
    for (uint64_t word : words_) n += static_cast<uint32_t>(std::popcount(word));
    return n;
  }
  uint32_t count_in(const EndpointSet& other) const {
    uint32_t n = 0;
    for (size_t w = 0; w < words_.size(); ++w)
      n += static_cast<uint32_t>(std::popcount(words_[w] & other.words_[w]));
    return n;
  }
  // Members 64 * W to 64 * W + 63, one a bit.
  uint64_t word(size_t w) const { return words_[w]; }
  // Calls F(slot) for each member that is in OTHER too, in rising order.
  template <typename F>
  void for_each_in(const EndpointSet& other, F&& f) const {
    for (size_t w = 0; w < words_.size(); ++w)
      for (uint64_t bits = words_[w] & other.words_[w]; bits != 0; bits &= bits - 1)
        f(static_cast<uint32_t>(w * 64 + static_cast<size_t>(std::countr_zero(bits))));
  }
  template <typename F>
  void for_each(F&& f) const {
    for_each_in(*this, f);
  }
  friend bool operator==(const EndpointSet&, const EndpointSet&) = default;

 private:
  std::array<uint64_t, kEndpointsMax / 64> words_{};
};

}  // namespace sluice
