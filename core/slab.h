// Objects at stable addresses with small indices, in chunks that go back to the allocator when they
// are empty.
//
// Owns its objects. allocate, free and at are O(1); one empty chunk is kept back so that a queue
// that breathes around a chunk border does not thrash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace sluice {

template <typename T>
class Slab {
 public:
  static constexpr uint32_t kChunk = 256;

  // The new object's index; the object is default-constructed.
  uint32_t allocate() {
    if (open_.empty()) add_chunk();
    const uint32_t c = open_.back();
    Chunk& chunk = *chunks_[c];
    const uint32_t i = chunk.free[--chunk.free_count];
    if (chunk.free_count == 0) open_.pop_back();
    if (chunk.free_count == kChunk - 1 && spare_ == c) spare_ = UINT32_MAX;
    chunk.objects[i].emplace();
    ++size_;
    return c * kChunk + i;
  }

  void free(uint32_t index) {
    const uint32_t c = index / kChunk;
    Chunk& chunk = *chunks_[c];
    chunk.objects[index % kChunk].reset();
    if (chunk.free_count == 0) open_.push_back(c);
    chunk.free[chunk.free_count++] = static_cast<uint16_t>(index % kChunk);
    --size_;
    if (chunk.free_count == kChunk) release(c);
  }

  T& at(uint32_t index) { return *chunks_[index / kChunk]->objects[index % kChunk]; }
  // The object, or null if there is none at INDEX.
  T* find(uint32_t index) {
    const uint32_t c = index / kChunk;
    if (c >= chunks_.size() || !chunks_[c]) return nullptr;
    auto& object = chunks_[c]->objects[index % kChunk];
    return object ? &*object : nullptr;
  }
  uint32_t size() const { return size_; }

  template <typename F>
  void for_each(F&& f) {
    for (auto& chunk : chunks_) {
      if (!chunk) continue;
      for (auto& object : chunk->objects)
        if (object) f(*object);
    }
  }

 private:
  struct Chunk {
    std::array<std::optional<T>, kChunk> objects;
    std::array<uint16_t, kChunk> free;
    uint32_t free_count = kChunk;
  };

  void add_chunk() {
    uint32_t c = static_cast<uint32_t>(chunks_.size());
    if (!holes_.empty()) {
      c = holes_.back();
      holes_.pop_back();
    } else {
      chunks_.emplace_back();
    }
    chunks_[c] = std::make_unique<Chunk>();
    for (uint32_t i = 0; i < kChunk; ++i)
      chunks_[c]->free[i] = static_cast<uint16_t>(kChunk - 1 - i);
    open_.push_back(c);
  }

  void release(uint32_t c) {
    if (spare_ == UINT32_MAX) {
      spare_ = c;
      return;
    }
    if (spare_ == c) return;
    std::erase(open_, c);
    chunks_[c].reset();
    holes_.push_back(c);
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<uint32_t> open_;   // chunks with a free place
  std::vector<uint32_t> holes_;  // indices of chunks given back
  uint32_t spare_ = UINT32_MAX;  // the one empty chunk that is kept
  uint32_t size_ = 0;
};

}  // namespace sluice
