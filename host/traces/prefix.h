// What prompts begin with, as chains of block hashes: equal n-th hashes mean equal first n blocks.
//
// Blocks are kBlockTokens long; only whole ones, at most kBlocksMax. Complexity: O(blocks).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::traces {

// Of a prompt of TOKENS tokens of GROUP: prompts of one group are alike as far as the shorter goes.
void group_blocks(std::string_view group, uint32_t tokens, std::vector<uint64_t>& out);
// Of a prompt of TOKENS tokens whose n-th kIdTokens tokens are named by IDS[n].
void id_blocks(std::span<const uint64_t> ids, uint32_t tokens, std::vector<uint64_t>& out);

}  // namespace sluice::traces
