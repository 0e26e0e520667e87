#include "host/simulate/prefix_cache.h"

namespace sluice::simulate {

uint32_t PrefixCache::hits(std::span<const uint64_t> prompt) const {
  uint32_t count = 0;
  while (count < prompt.size() && blocks_.contains(prompt[count])) ++count;
  return count;
}

uint32_t PrefixCache::unheld(std::span<const uint64_t> prompt) const {
  uint32_t count = 0;
  for (const uint64_t hash : prompt) {
    const auto it = blocks_.find(hash);
    count += it == blocks_.end() || it->second.holders == 0 ? 1 : 0;
  }
  return count;
}

uint32_t PrefixCache::hold(std::span<const uint64_t> prompt) {
  uint32_t taken = 0;
  for (const uint64_t hash : prompt) {
    const auto [it, is_new] = blocks_.try_emplace(hash);
    Block& block = it->second;
    if (block.holders++ != 0) continue;
    if (!is_new) idle_.erase(block.idle);
    ++taken;
  }
  return taken;
}

uint32_t PrefixCache::release(std::span<const uint64_t> prompt) {
  uint32_t given_back = 0;
  // The last block first: a chain is of use only from its beginning, so its end goes out first.
  for (size_t i = prompt.size(); i-- > 0;) {
    const auto it = blocks_.find(prompt[i]);
    if (--it->second.holders != 0) continue;
    it->second.idle = idle_.insert(idle_.end(), prompt[i]);
    ++given_back;
  }
  return given_back;
}

void PrefixCache::shrink(uint64_t keep) {
  while (idle_.size() > keep) {
    blocks_.erase(idle_.front());
    idle_.pop_front();
  }
}

}  // namespace sluice::simulate
