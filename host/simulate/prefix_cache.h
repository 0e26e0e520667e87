// The prefix cache of a simulated model server: which prompt blocks lie in its KV cache.
//
// A block is held while a request uses it, and stays after that until its place is needed, least
// recently used out first. Blocks are chained hashes (core/types.h, Submission::prefix).
// Threads: one. Complexity: O(blocks) a call; memory is bounded by the KV cache.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>

#include "host/traces/limits.h"

namespace sluice::simulate {

using traces::kBlockTokens;

class PrefixCache {
 public:
  // How many leading blocks of PROMPT it has.
  uint32_t hits(std::span<const uint64_t> prompt) const;
  // How many blocks of PROMPT nobody holds: what hold() would take of the KV cache.
  uint32_t unheld(std::span<const uint64_t> prompt) const;
  // A request holds the blocks of PROMPT from now on; the ones that were not there are. Returns how
  // many blocks nobody held before.
  uint32_t hold(std::span<const uint64_t> prompt);
  // A request is over. Returns how many of its blocks nobody holds any more.
  uint32_t release(std::span<const uint64_t> prompt);
  // Throws out blocks that nobody holds until at most KEEP of them are left.
  void shrink(uint64_t keep);
  uint64_t idle_blocks() const { return idle_.size(); }

 private:
  struct Block {
    uint32_t holders = 0;
    std::list<uint64_t>::iterator idle;  // while holders == 0
  };
  std::unordered_map<uint64_t, Block> blocks_;
  std::list<uint64_t> idle_;  // least recently used first
};

}  // namespace sluice::simulate
