// A prompt as a chain of block hashes: block i's hash covers blocks 0 .. i, so equal n-th hashes
// mean equal prefixes.
//
// Complexity: one pass over at most kPrefixBlocksMax blocks. A last block that is not full is left
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice {

inline constexpr size_t kPrefixBlocksMax = 2048;

// SEED keeps apart prompts that share no cache: the hash of the target model.
std::vector<uint64_t> prefix_of(std::string_view prompt, size_t block_bytes, uint64_t seed);

}  // namespace sluice
