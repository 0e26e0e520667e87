#include "host/traces/prefix.h"

#include <algorithm>

#include "core/picker.h"
#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

constexpr uint64_t kIdsSeed = 0x6d6f6f6e63616b65;  // keeps ids apart from groups

uint64_t chained(uint64_t before, uint64_t here) {
  return Random::mix(before + 0x9e3779b97f4a7c15 + Random::mix(here));
}

size_t whole_blocks(uint64_t tokens) { return std::min<size_t>(tokens / kBlockTokens, kBlocksMax); }

// FNV-1a.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return Random::mix(hash);
}

}  // namespace

void group_blocks(std::string_view group, uint32_t tokens, std::vector<uint64_t>& out) {
  out.resize(whole_blocks(tokens));
  uint64_t hash = hash_of(group);
  for (size_t i = 0; i < out.size(); ++i) out[i] = hash = chained(hash, i);
}

void id_blocks(std::span<const uint64_t> ids, uint32_t tokens, std::vector<uint64_t>& out) {
  constexpr size_t kPerId = kIdTokens / kBlockTokens;
  out.resize(std::min(whole_blocks(tokens), ids.size() * kPerId));
  uint64_t hash = kIdsSeed;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = hash = chained(hash, ids[i / kPerId] * kPerId + i % kPerId);
  }
}

}  // namespace sluice::traces
