// A binary heap of borrowed objects that know their place in it, so that any of them can be taken
// out in O(log n).
//
// Traits: static bool before(const T&, const T&), a strict total order; static uint32_t& place(T&),
// kept by the heap while the object is in it and kNotInHeap otherwise.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice {

inline constexpr uint32_t kNotInHeap = UINT32_MAX;

template <typename T, typename Traits>
class IndexedHeap {
 public:
  bool empty() const { return items_.empty(); }
  uint32_t size() const { return static_cast<uint32_t>(items_.size()); }
  T* top() const { return items_.front(); }

  void push(T* item) {
    items_.push_back(item);
    sift_up(static_cast<uint32_t>(items_.size() - 1));
  }

  // ITEM must be in the heap.
  void remove(T* item) {
    const uint32_t hole = Traits::place(*item);
    T* last = items_.back();
    items_.pop_back();
    Traits::place(*item) = kNotInHeap;
    if (last != item) {
      items_[hole] = last;
      Traits::place(*last) = hole;
      if (sift_up(hole) == hole) sift_down(hole);
    }
    if (items_.empty() && items_.capacity() > kKeep) items_.shrink_to_fit();
  }

  // Orders everything again after keys have changed; O(n).
  void rebuild() {
    for (uint32_t i = 0; i < items_.size(); ++i) Traits::place(*items_[i]) = i;
    for (uint32_t i = static_cast<uint32_t>(items_.size() / 2); i-- > 0;) sift_down(i);
  }

  const std::vector<T*>& items() const { return items_; }

 private:
  static constexpr size_t kKeep = 64;

  uint32_t sift_up(uint32_t i) {
    T* item = items_[i];
    while (i > 0) {
      const uint32_t parent = (i - 1) / 2;
      if (!Traits::before(*item, *items_[parent])) break;
      put(i, items_[parent]);
      i = parent;
    }
    put(i, item);
    return i;
  }

  void sift_down(uint32_t i) {
    T* item = items_[i];
    const uint32_t n = static_cast<uint32_t>(items_.size());
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
      if (child + 1 < n && Traits::before(*items_[child + 1], *items_[child])) ++child;
      if (!Traits::before(*items_[child], *item)) break;
      put(i, items_[child]);
    }
    put(i, item);
  }

  void put(uint32_t i, T* item) {
    items_[i] = item;
    Traits::place(*item) = i;
  }

  std::vector<T*> items_;
};

}  // namespace sluice
