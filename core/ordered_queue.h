// A priority queue of borrowed objects that know their place in it, so that any of them can be
// taken out.
//
// What is pushed in order stands in a line and costs O(1) to push and to take out, without a look
// at any object but its neighbours: arrivals under first come, first served, and deadlines of equal
// TTLs. What comes out of order is kept in a binary heap beside it, O(log n).
// Traits: static bool before(const T&, const T&), a strict total order that changes only around
// rebuild(); static QueuePlace<T>& place(T&), which is the queue's while the object is in it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/planted.h"

namespace sluice {

template <typename T>
struct QueuePlace {
  static constexpr uint32_t kOut = UINT32_MAX;
  static constexpr uint32_t kInLine = UINT32_MAX - 1;
  T* before = nullptr;  // neighbours in the line
  T* after = nullptr;
  uint32_t at = kOut;  // or in the line, or an index into the heap

  bool queued() const { return at != kOut; }
};

template <typename T, typename Traits>
class OrderedQueue {
 public:
  bool empty() const { return first_ == nullptr && heap_.empty(); }
  uint32_t size() const { return in_line_ + static_cast<uint32_t>(heap_.size()); }
  // The queue is not empty.
  T* top() const {
    if (heap_.empty()) return first_;
    return first_ != nullptr && Traits::before(*first_, *heap_.front()) ? first_ : heap_.front();
  }

  void push(T* item) {
    if (last_ != nullptr && Traits::before(*item, *last_)) {
      heap_.push_back(item);
      sift_up(static_cast<uint32_t>(heap_.size() - 1));
      return;
    }
    auto& place = Traits::place(*item);
    place = {.before = last_, .after = nullptr, .at = QueuePlace<T>::kInLine};
    (last_ != nullptr ? Traits::place(*last_).after : first_) = item;
    last_ = item;
    ++in_line_;
  }

  // ITEM must be in the queue.
  void remove(T* item) {
    auto& place = Traits::place(*item);
    if (place.at == QueuePlace<T>::kInLine) {
      (place.before != nullptr ? Traits::place(*place.before).after : first_) = place.after;
      (place.after != nullptr ? Traits::place(*place.after).before : last_) = place.before;
      --in_line_;
    } else {
      remove_from_heap(item, place.at);
    }
    place = {};
  }

  // Orders everything again after keys have changed; O(n).
  void rebuild() {
    for (T* item = first_; item != nullptr;) {
      heap_.push_back(item);
      auto& place = Traits::place(*item);
      item = place.after;
      place = {};
    }
    first_ = last_ = nullptr;
    in_line_ = 0;
    for (uint32_t i = 0; i < heap_.size(); ++i) Traits::place(*heap_[i]).at = i;
    for (uint32_t i = static_cast<uint32_t>(heap_.size() / 2); i-- > 0;) sift_down(i);
  }

 private:
  static constexpr size_t kKeep = 64;

  void remove_from_heap(T* item, uint32_t hole) {
    T* moved = heap_.back();
    heap_.pop_back();
    if (moved != item) {
      put(hole, moved);
      if (!planted(Planted::kHeapUnsorted) && sift_up(hole) == hole) sift_down(hole);
    }
    if (heap_.empty() && heap_.capacity() > kKeep) heap_.shrink_to_fit();
  }

  uint32_t sift_up(uint32_t i) {
    T* item = heap_[i];
    while (i > 0) {
      const uint32_t parent = (i - 1) / 2;
      if (!Traits::before(*item, *heap_[parent])) break;
      put(i, heap_[parent]);
      i = parent;
    }
    put(i, item);
    return i;
  }

  void sift_down(uint32_t i) {
    T* item = heap_[i];
    const uint32_t n = static_cast<uint32_t>(heap_.size());
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
      if (child + 1 < n && Traits::before(*heap_[child + 1], *heap_[child])) ++child;
      if (!Traits::before(*heap_[child], *item)) break;
      put(i, heap_[child]);
    }
    put(i, item);
  }

  void put(uint32_t i, T* item) {
    heap_[i] = item;
    Traits::place(*item).at = i;
  }

  T* first_ = nullptr;
  T* last_ = nullptr;
  uint32_t in_line_ = 0;
  std::vector<T*> heap_;
};

}  // namespace sluice
