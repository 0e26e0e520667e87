#include "tests/sim/run.h"

namespace sluice::sim {

WorldRun run(const Shelf& shelf, const World::Options& options, const std::vector<Step>& steps) {
  World world(shelf, options);
  size_t done = 0;
  for (; done < steps.size() && !world.finding(); ++done) world.step(steps[done]);
  world.finish();
  return {done, world.finding(), world.hash(), world.counts(), world.history()};
}

WorldRun shrink(const Shelf& shelf, const World::Options& options, std::vector<Step> steps,
                Finding::By by) {
  World::Options quiet = options;
  quiet.compare_every = 1;
  quiet.tells = false;
  size_t steps_left = kShrinkStepsMax;
  const auto finds = [&](const std::vector<Step>& part) {
    if (part.size() > steps_left) return false;
    const WorldRun r = run(shelf, quiet, part);
    steps_left -= r.steps;
    return r.finding && r.finding->by == by;
  };
  steps.resize(run(shelf, quiet, steps).steps);  // what came after the finding
  // Halves, quarters, ... single steps are left out while that changes nothing.
  for (size_t size = steps.size() / 2; size > 0; size /= 2) {
    for (size_t at = 0; at + size <= steps.size();) {
      std::vector<Step> part(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(at));
      part.insert(part.end(), steps.begin() + static_cast<std::ptrdiff_t>(at + size), steps.end());
      if (finds(part)) {
        steps = std::move(part);
      } else {
        at += size;
      }
    }
  }
  quiet.tells = true;
  return run(shelf, quiet, steps);
}

}  // namespace sluice::sim
