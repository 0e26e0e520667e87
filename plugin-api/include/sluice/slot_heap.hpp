// slot_heap.hpp: flow slots by key, the least on top, for policies that must not look at every flow
// on each pick.
//
// Threads: one at a time. Memory: all of it is taken by the constructor.
// Complexity: top O(1); set and erase O(log n) in the slots that are in; O(slots) memory.
// Key needs operator<. Put head_seq into it, or equal keys will leave in no promised order.
#pragma once

#include <cstdint>
#include <vector>

#include <sluice/abi.h>

namespace sluice {

template <typename Key>
class SlotHeap {
 public:
  explicit SlotHeap(uint32_t slots) : nodes_(slots), place_(slots, SLUICE_NONE) {}

  bool empty() const { return size_ == 0; }
  uint32_t size() const { return size_; }
  bool contains(uint32_t slot) const { return place_[slot] != SLUICE_NONE; }
  // SLUICE_NONE if empty.
  uint32_t top() const { return empty() ? SLUICE_NONE : nodes_[0].slot; }
  const Key& top_key() const { return nodes_[0].key; }  // only if not empty

  // Puts SLOT in, or moves it to its new place.
  void set(uint32_t slot, const Key& key) {
    uint32_t hole = place_[slot];
    if (hole == SLUICE_NONE) hole = size_++;
    settle(hole, {key, slot});
  }

  // Takes SLOT out; nothing happens if it is not in.
  void erase(uint32_t slot) {
    const uint32_t hole = place_[slot];
    if (hole == SLUICE_NONE) return;
    place_[slot] = SLUICE_NONE;
    const Node last = nodes_[--size_];
    if (last.slot != slot) settle(hole, last);
  }

 private:
  struct Node {
    Key key;
    uint32_t slot;
  };

  // Finds the place for NODE, beginning at HOLE, whose own node is gone.
  void settle(uint32_t hole, const Node& node) {
    while (hole > 0 && node.key < nodes_[(hole - 1) / 2].key) {
      put(hole, nodes_[(hole - 1) / 2]);
      hole = (hole - 1) / 2;
    }
    for (uint32_t child = 2 * hole + 1; child < size_; child = 2 * hole + 1) {
      if (child + 1 < size_ && nodes_[child + 1].key < nodes_[child].key) ++child;
      if (!(nodes_[child].key < node.key)) break;
      put(hole, nodes_[child]);
      hole = child;
    }
    put(hole, node);
  }

  void put(uint32_t at, const Node& node) {
    nodes_[at] = node;
    place_[node.slot] = at;
  }

  std::vector<Node> nodes_;
  std::vector<uint32_t> place_;  // by slot; SLUICE_NONE = not in
  uint32_t size_ = 0;
};

}  // namespace sluice
