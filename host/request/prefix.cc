#include "host/request/prefix.h"

#include <xxhash.h>

#include <algorithm>

namespace sluice {

std::vector<uint64_t> prefix_of(std::string_view prompt, size_t block_bytes, uint64_t seed) {
  if (block_bytes == 0) return {};
  std::vector<uint64_t> hashes(std::min(prompt.size() / block_bytes, kPrefixBlocksMax));
  uint64_t chain = seed;
  for (size_t i = 0; i < hashes.size(); ++i) {
    chain = XXH3_64bits_withSeed(prompt.data() + i * block_bytes, block_bytes, chain);
    hashes[i] = chain;
  }
  return hashes;
}

}  // namespace sluice
