// Which endpoint likely holds which prompt blocks: the host-kept index behind prefix-cache scoring.
//
// Approximate: an endpoint is taken to hold the blocks of the requests sent to it, least recently
// used out first. A prompt is a list of chained block hashes (block i's hash covers blocks 0 .. i),
// so two prompts share a prefix of n blocks exactly if their n-th hashes are equal. Threads: one at
// a time. Owns its memory. Complexity: match and insert are O(blocks of the prompt x endpoints in
// the answer); memory is bounded by endpoints x blocks_per_endpoint. Source: the idea is
// production-stack's and llm-d's approximate prefix cache (proposal 0602).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/endpoint_set.h"

namespace sluice {

class PrefixIndex {
 public:
  explicit PrefixIndex(uint32_t blocks_per_endpoint);
  ~PrefixIndex();

  // How many leading blocks of PROMPT each of ENDPOINTS holds, into blocks_out[endpoint]; where
  // that is none, blocks_out is left as it is. Changes nothing.
  void match(std::span<const uint64_t> prompt, const EndpointSet& endpoints,
             std::span<uint32_t, kEndpointsMax> blocks_out) const;
  // ENDPOINT was sent PROMPT: it holds its blocks from now on, as the most recently used.
  void insert(std::span<const uint64_t> prompt, uint32_t endpoint);
  void set_capacity(uint32_t endpoint, uint32_t blocks);
  // ENDPOINT is gone or was restarted.
  void forget(uint32_t endpoint);
  uint64_t blocks() const;  // held in all, over all endpoints

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
