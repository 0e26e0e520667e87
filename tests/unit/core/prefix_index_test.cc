// The prefix index against the plainest model of what it promises, and its bounds.

#include "core/prefix_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <vector>

#include "core/limits.h"

namespace sluice {
namespace {

using Prompt = std::vector<uint64_t>;

// The blocks of PROMPT that each of ENDPOINTS holds.
std::vector<uint32_t> match(const PrefixIndex& index, const Prompt& prompt,
                            const std::vector<uint32_t>& endpoints) {
  EndpointSet set;
  for (const uint32_t endpoint : endpoints) set.insert(endpoint);
  std::vector<uint32_t> by_slot(kEndpointsMax);
  index.match(prompt, set, std::span<uint32_t, kEndpointsMax>(by_slot));
  std::vector<uint32_t> blocks;
  for (const uint32_t endpoint : endpoints) {
    blocks.push_back(by_slot[endpoint]);
    by_slot[endpoint] = 0;
  }
  EXPECT_EQ(by_slot, std::vector<uint32_t>(kEndpointsMax)) << "nobody asked for these";
  return blocks;
}

uint32_t match_one(const PrefixIndex& index, const Prompt& prompt, uint32_t endpoint) {
  return match(index, prompt, {endpoint}).front();
}

Prompt chain(uint64_t seed, size_t blocks) {
  Prompt prompt;
  for (size_t i = 0; i < blocks; ++i)
    prompt.push_back(seed = seed * 6364136223846793005u + 1442695040888963407u);
  return prompt;
}

TEST(PrefixIndex, CountsLeadingBlocksOnly) {
  PrefixIndex index(100);
  index.insert(Prompt{1, 2, 3}, 0);
  index.insert(Prompt{1, 2}, 5);
  const Prompt prompt = {1, 2, 3, 4};
  EXPECT_EQ(match(index, prompt, {5, 0, 7, kEndpointsMax - 1}),
            (std::vector<uint32_t>{2, 3, 0, 0}));
  EXPECT_EQ(match_one(index, {2, 3}, 0), 2u);
  EXPECT_EQ(match_one(index, {9, 2, 3}, 0), 0u);
  EXPECT_EQ(match_one(index, {}, 0), 0u);
  EXPECT_EQ(index.blocks(), 5u);
}

TEST(PrefixIndex, LosesTheTailOfTheLeastRecentlyUsedFirst) {
  PrefixIndex index(6);
  const Prompt a = chain(1, 3), b = chain(2, 3), c = chain(3, 2);
  index.insert(a, 0);
  index.insert(b, 0);
  index.insert(a, 0);  // b is now the older
  index.insert(c, 0);
  EXPECT_EQ(match_one(index, a, 0), 3u);
  EXPECT_EQ(match_one(index, b, 0), 1u);
  EXPECT_EQ(match_one(index, c, 0), 2u);
  EXPECT_EQ(index.blocks(), 6u);
}

TEST(PrefixIndex, KeepsTheHeadOfAPromptThatIsTooLong) {
  PrefixIndex index(4);
  index.insert(chain(1, 10), 0);
  EXPECT_EQ(match_one(index, chain(1, 10), 0), 4u);
  EXPECT_EQ(index.blocks(), 4u);
}

TEST(PrefixIndex, CapacityAndForgettingConcernOneEndpoint) {
  PrefixIndex index(8);
  for (const uint32_t endpoint : {0u, 63u, 64u}) index.insert(chain(1, 8), endpoint);
  index.set_capacity(63, 3);
  index.forget(64);
  index.forget(900);  // never seen
  EXPECT_EQ(match_one(index, chain(1, 8), 0), 8u);
  EXPECT_EQ(match_one(index, chain(1, 8), 63), 3u);
  EXPECT_EQ(match_one(index, chain(1, 8), 64), 0u);
  EXPECT_EQ(index.blocks(), 11u);
  index.set_capacity(0, 0);
  index.insert(chain(1, 8), 0);
  index.insert(chain(1, 8), kEndpointsMax);
  EXPECT_EQ(match_one(index, chain(1, 8), 0), 0u);
  EXPECT_EQ(index.blocks(), 3u);
}

TEST(PrefixIndex, HashesMayBeAnything) {
  PrefixIndex index(5);
  index.insert(Prompt{0, UINT64_MAX, 0, 0, 7},
               1);  // 0 is a hash like any other; repeats are one block
  EXPECT_EQ(index.blocks(), 3u);
  EXPECT_EQ(match_one(index, {0, UINT64_MAX, 0, 0, 7, 8}, 1), 5u);
  // Low bits alike: hashes that a table indexed by them would all put in one place.
  Prompt alike;
  for (uint64_t i = 1; i <= 5; ++i) alike.push_back(i << 40);
  index.insert(alike, 1);
  EXPECT_EQ(match_one(index, alike, 1), 5u);
  EXPECT_EQ(index.blocks(), 5u);
}

// What the index promises, as plainly as it can be said.
class Model {
 public:
  explicit Model(uint32_t capacity) : standard_(capacity) {}

  void insert(const Prompt& prompt, uint32_t endpoint) {
    std::list<uint64_t>& lru = held_[endpoint];
    for (size_t i = std::min<size_t>(prompt.size(), capacity(endpoint)); i-- > 0;) {
      lru.remove(prompt[i]);
      lru.push_front(prompt[i]);
    }
    shrink(endpoint);
  }
  void set_capacity(uint32_t endpoint, uint32_t blocks) {
    capacity_[endpoint] = blocks;
    shrink(endpoint);
  }
  void forget(uint32_t endpoint) { held_.erase(endpoint); }
  uint32_t match(const Prompt& prompt, uint32_t endpoint) {
    const std::list<uint64_t>& lru = held_[endpoint];
    uint32_t blocks = 0;
    while (blocks < prompt.size() && std::find(lru.begin(), lru.end(), prompt[blocks]) != lru.end())
      ++blocks;
    return blocks;
  }
  uint64_t blocks() const {
    uint64_t sum = 0;
    for (const auto& [endpoint, lru] : held_) sum += lru.size();
    return sum;
  }

 private:
  uint32_t capacity(uint32_t endpoint) const {
    const auto found = capacity_.find(endpoint);
    return found == capacity_.end() ? standard_ : found->second;
  }
  void shrink(uint32_t endpoint) {
    while (held_[endpoint].size() > capacity(endpoint)) held_[endpoint].pop_back();
  }

  uint32_t standard_;
  std::map<uint32_t, uint32_t> capacity_;
  std::map<uint32_t, std::list<uint64_t>> held_;
};

// Prompts are walks in a small tree, so that prefixes are shared; hashes are chained like real
// ones.
Prompt walk(std::mt19937& random) {
  Prompt prompt;
  uint64_t hash = 17;
  for (size_t length = random() % 12; prompt.size() < length;) {
    hash = (hash ^ (random() % 3)) * 0x9e3779b97f4a7c15u;
    prompt.push_back(hash);
  }
  return prompt;
}

TEST(PrefixIndex, AgreesWithThePlainModel) {
  const std::vector<uint32_t> endpoints = {0, 1, 2, 63, 64, 65, 200, kEndpointsMax - 1};
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const uint32_t capacity = 1 + random() % 40;
    PrefixIndex index(capacity);
    Model model(capacity);
    for (int step = 0; step < 1500; ++step) {
      const uint32_t endpoint = endpoints[random() % endpoints.size()];
      const uint32_t choice = random() % 100;
      if (choice < 60) {
        const Prompt prompt = walk(random);
        index.insert(prompt, endpoint);
        model.insert(prompt, endpoint);
      } else if (choice < 63) {
        const uint32_t blocks = random() % 50;
        index.set_capacity(endpoint, blocks);
        model.set_capacity(endpoint, blocks);
      } else if (choice < 65) {
        index.forget(endpoint);
        model.forget(endpoint);
      } else {
        const Prompt prompt = walk(random);
        const std::vector<uint32_t> blocks = match(index, prompt, endpoints);
        for (size_t i = 0; i < endpoints.size(); ++i) {
          ASSERT_EQ(blocks[i], model.match(prompt, endpoints[i]))
              << "seed " << seed << " step " << step;
        }
      }
      ASSERT_EQ(index.blocks(), model.blocks()) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace sluice
