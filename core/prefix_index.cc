#include "core/prefix_index.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "core/limits.h"

namespace sluice {
namespace {

// Maps block hashes to values that are never 0: open addressing, linear probing, at most three
// quarters full. Erasing closes the gap, so that a table in steady state never degrades and needs
// no tombstones.
class BlockMap {
 public:
  // The value of HASH, or 0.
  uint64_t find(uint64_t hash) const {
    if (slots_.empty()) return 0;
    return slots_[locate(hash)].value;
  }

  // The value of HASH to be changed; a new one is 0 and must be set at once.
  uint64_t& at(uint64_t hash) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    Slot& slot = slots_[locate(hash)];
    if (slot.value == 0) {
      slot.hash = hash;
      ++size_;
    }
    return slot.value;
  }

  // HASH will be asked for soon: each place is a cache miss, and those of a long prompt can be taken
  // side by side.
  void prefetch(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[home(hash)]);
  }

  void erase(uint64_t hash) {
    if (slots_.empty()) return;
    size_t hole = locate(hash);
    if (slots_[hole].value == 0) return;
    --size_;
    for (size_t i = next(hole); slots_[i].value != 0; i = next(i)) {
      // Whoever sits at i may move back into the hole unless its home lies between the two.
      if (((i - home(slots_[i].hash)) & mask()) < ((i - hole) & mask())) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole].value = 0;
  }

  size_t size() const { return size_; }

 private:
  struct Slot {
    uint64_t hash = 0, value = 0;
  };

  size_t mask() const { return slots_.size() - 1; }
  size_t next(size_t i) const { return (i + 1) & mask(); }
  size_t home(uint64_t hash) const { return (hash * 0x9e3779b97f4a7c15u) >> shift_; }

  // Where HASH is, or the free slot where it would go.
  size_t locate(uint64_t hash) const {
    size_t i = home(hash);
    while (slots_[i].value != 0 && slots_[i].hash != hash) i = next(i);
    return i;
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    shift_ = 64 - static_cast<unsigned>(std::countr_zero(slots_.size()));
    for (const Slot& slot : old) {
      if (slot.value != 0) slots_[locate(slot.hash)] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two; value 0 = free
  size_t size_ = 0;
  unsigned shift_ = 0;
};

// What one endpoint holds, most recently used first: a ring of nodes through a sentinel, and a map
// that finds them.
class Lru {
 public:
  // Makes HASH the most recently used. False if it was there already.
  bool touch(uint64_t hash) {
    uint64_t& found = where_.at(hash);
    const bool is_new = found == 0;
    if (is_new) {
      found = take_node();
      nodes_[found].hash = hash;
    } else {
      unlink(found);
    }
    link_front(static_cast<uint32_t>(found));
    return is_new;
  }

  // Drops the least recently used and says which it was; size() must not be 0.
  uint64_t drop_last() {
    const uint32_t last = nodes_[0].previous;
    unlink(last);
    nodes_[last].next = free_;
    free_ = last;
    where_.erase(nodes_[last].hash);
    return nodes_[last].hash;
  }

  size_t size() const { return where_.size(); }
  void prefetch(uint64_t hash) const { where_.prefetch(hash); }
  // The one that goes after NODE; 0, which is no node, begins with the last and follows the first.
  uint32_t goes_after(uint32_t node) const { return nodes_[node].previous; }
  uint64_t hash_of(uint32_t node) const { return nodes_[node].hash; }

 private:
  struct Node {
    uint64_t hash = 0;
    uint32_t previous = 0, next = 0;
  };

  uint32_t take_node() {
    if (free_ == 0) {
      nodes_.emplace_back();
      return static_cast<uint32_t>(nodes_.size() - 1);
    }
    const uint32_t node = free_;
    free_ = nodes_[node].next;
    return node;
  }

  void unlink(uint64_t node) {
    nodes_[nodes_[node].previous].next = nodes_[node].next;
    nodes_[nodes_[node].next].previous = nodes_[node].previous;
  }

  void link_front(uint32_t node) {
    nodes_[node].previous = 0;
    nodes_[node].next = nodes_[0].next;
    nodes_[nodes_[0].next].previous = node;
    nodes_[0].next = node;
  }

  BlockMap where_;                                  // hash -> node; nodes count from 1
  std::vector<Node> nodes_ = std::vector<Node>(1);  // [0] is the sentinel
  uint32_t free_ = 0;  // first of the free nodes, chained by next; 0 = none
};

inline constexpr size_t kAhead = 8;  // blocks between a prefetch and its use
inline constexpr uint32_t kGroupBits = 64;
inline constexpr uint32_t kGroups = kEndpointsMax / kGroupBits;
static_assert(kEndpointsMax % kGroupBits == 0);

}  // namespace

// Held twice: each endpoint's LRU says what goes, and for each group of 64 endpoints a map from
// hash to the set of those that hold it answers for all of them with one look.
struct PrefixIndex::Impl {
  std::array<BlockMap, kGroups> holders;
  std::vector<Lru> endpoints;  // grows to the highest slot in use
  std::array<uint32_t, kEndpointsMax> capacity;
  uint64_t blocks = 0;

  void shrink(uint32_t endpoint, size_t blocks_max) {
    Lru& lru = endpoints[endpoint];
    BlockMap& group = holders[endpoint / kGroupBits];
    uint32_t ahead = 0;
    const auto look_ahead = [&] {
      ahead = lru.goes_after(ahead);
      lru.prefetch(lru.hash_of(ahead));
      group.prefetch(lru.hash_of(ahead));
    };
    for (size_t i = 0; i < kAhead && lru.size() > blocks_max + i; ++i) look_ahead();
    while (lru.size() > blocks_max) {
      look_ahead();
      const uint64_t hash = lru.drop_last();
      uint64_t& set = group.at(hash);
      const uint64_t rest = set & ~(uint64_t{1} << endpoint % kGroupBits);
      if (rest == 0) {
        group.erase(hash);
      } else {
        set = rest;
      }
      --blocks;
    }
  }
};

PrefixIndex::PrefixIndex(uint32_t blocks_per_endpoint) : impl_(std::make_unique<Impl>()) {
  impl_->capacity.fill(blocks_per_endpoint);
}

PrefixIndex::~PrefixIndex() = default;

void PrefixIndex::match(std::span<const uint64_t> prompt, const EndpointSet& endpoints,
                        std::span<uint32_t, kEndpointsMax> blocks_out) const {
  for (uint32_t group = 0; group < kGroups; ++group) {
    const uint32_t first = group * kGroupBits;
    uint64_t still = endpoints.word(group);  // those that hold every block so far
    for (uint32_t block = 0; still != 0; ++block) {
      const bool over = block == prompt.size();
      if (block + kAhead < prompt.size()) impl_->holders[group].prefetch(prompt[block + kAhead]);
      const uint64_t holders = over ? 0 : impl_->holders[group].find(prompt[block]);
      const uint64_t lost = still & ~holders;
      if (block != 0)
        for (uint64_t rest = lost; rest != 0; rest &= rest - 1)
          blocks_out[first + static_cast<uint32_t>(std::countr_zero(rest))] = block;
      still &= holders;
    }
  }
}

void PrefixIndex::insert(std::span<const uint64_t> prompt, uint32_t endpoint) {
  if (endpoint >= kEndpointsMax) return;
  Impl& impl = *impl_;
  if (endpoint >= impl.endpoints.size()) impl.endpoints.resize(endpoint + 1);
  const size_t kept = std::min<size_t>(prompt.size(), impl.capacity[endpoint]);
  BlockMap& group = impl.holders[endpoint / kGroupBits];
  // Last block first: the head of a prompt is then newer than its tail and goes later, as a tail
  // alone serves nobody.
  for (size_t i = kept; i-- > 0;) {
    if (i >= kAhead) {
      impl.endpoints[endpoint].prefetch(prompt[i - kAhead]);
      group.prefetch(prompt[i - kAhead]);
    }
    if (!impl.endpoints[endpoint].touch(prompt[i])) continue;
    group.at(prompt[i]) |= uint64_t{1} << endpoint % kGroupBits;
    ++impl.blocks;
  }
  impl.shrink(endpoint, impl.capacity[endpoint]);
}

void PrefixIndex::set_capacity(uint32_t endpoint, uint32_t blocks) {
  if (endpoint >= kEndpointsMax) return;
  impl_->capacity[endpoint] = blocks;
  if (endpoint < impl_->endpoints.size()) impl_->shrink(endpoint, blocks);
}

void PrefixIndex::forget(uint32_t endpoint) {
  if (endpoint >= impl_->endpoints.size()) return;
  impl_->shrink(endpoint, 0);
  impl_->endpoints[endpoint] = Lru();
}

uint64_t PrefixIndex::blocks() const { return impl_->blocks; }

}  // namespace sluice
