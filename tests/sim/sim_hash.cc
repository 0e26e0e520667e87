// One number for all that random worlds decide: sim_hash PLUGINS SEEDS STEPS. Whatever compiles it,
// and however, the number must be the same (same_hash.py).
#include <cstdio>
#include <cstdlib>

#include "tests/sim/run.h"

int main(int argc, char** argv) {
  using namespace sluice;
  if (argc != 4) {
    std::fprintf(stderr, "usage: sim_hash PLUGIN-DIRECTORY SEEDS STEPS\n");
    return 2;
  }
  const sim::Shelf shelf = sim::Shelf::load(argv[1]);
  const uint64_t seeds = std::strtoull(argv[2], nullptr, 10);
  const auto steps = static_cast<uint32_t>(std::strtoull(argv[3], nullptr, 10));
  uint64_t hash = 0, requests = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const sim::WorldRun done =
        sim::run(shelf, {.seed = seed, .compare_every = 64}, sim::World::steps(seed, steps));
    if (done.finding) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  done.finding->text.c_str());
      return 1;
    }
    hash = Random::mix(hash ^ done.hash);
    requests += done.counts.requests;
    // Each seed's own, so that a difference is found at once: the first line that differs.
    std::printf("seed %llu %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(done.hash));
  }
  std::printf("hash %016llx of %llu requests\n", static_cast<unsigned long long>(hash),
              static_cast<unsigned long long>(requests));
}
