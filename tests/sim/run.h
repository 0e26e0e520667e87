// Runs of whole worlds: one by its seed, and the shortest part of one that still finds something.
#pragma once

#include "tests/sim/world.h"

namespace sluice::sim {

inline constexpr size_t kShrinkStepsMax = 400'000;  // that are run to make a history shorter

struct WorldRun {
  size_t steps = 0;  // that were run, up to the finding
  std::optional<Finding> finding;
  uint64_t hash = 0;
  WorldCounts counts;
  std::string history;  // if the world tells
};

WorldRun run(const Shelf& shelf, const World::Options& options, const std::vector<Step>& steps);

// The same finder's finding by as few steps as can easily be had, told in words.
WorldRun shrink(const Shelf& shelf, const World::Options& options, std::vector<Step> steps,
                Finding::By by);

}  // namespace sluice::sim
