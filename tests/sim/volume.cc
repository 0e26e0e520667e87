// Random worlds in bulk: runs seed after seed until so many requests have been through, and ends
// with 1 at the first finding, after printing the seed and the shortest history that shows it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/run.h"

namespace sluice::sim {
namespace {

struct Arguments {
  uint64_t requests = 2'000'000;
  uint64_t seed = 1;      // the first
  uint64_t steps = 3000;  // of each world
  uint64_t compare_every = 64;
  std::string plugins;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) return false;
    char* end = nullptr;
    const uint64_t number = std::strtoull(argv[i + 1], &end, 10);
    const bool is_number = *end == 0;
    if (name == "--plugins") {
      arguments.plugins = argv[i + 1];
    } else if (name == "--requests" && is_number) {
      arguments.requests = number;
    } else if (name == "--seed" && is_number) {
      arguments.seed = number;
    } else if (name == "--steps" && is_number) {
      arguments.steps = number;
    } else if (name == "--compare-every" && is_number && number != 0) {
      arguments.compare_every = number;
    } else {
      return false;
    }
  }
  return true;
}

int report_finding(const Shelf& shelf, const World::Options& options,
                   const std::vector<Step>& steps, const Finding& finding) {
  std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(options.seed),
              to_string(finding.by), finding.text.c_str());
  std::fflush(stdout);
  const WorldRun shortest = shrink(shelf, options, steps, finding.by);
  std::printf("the shortest history found that shows it:\n%s", shortest.history.c_str());
  return 1;
}

int run_all(const Arguments& arguments) {
  const Shelf shelf = Shelf::load(arguments.plugins);
  const auto start = std::chrono::steady_clock::now();
  WorldCounts total;
  uint64_t worlds = 0;
  for (uint64_t seed = arguments.seed; total.requests < arguments.requests; ++seed, ++worlds) {
    const World::Options options{.seed = seed,
                                 .compare_every = static_cast<uint32_t>(arguments.compare_every)};
    const std::vector<Step> steps = World::steps(seed, static_cast<uint32_t>(arguments.steps));
    const WorldRun done = run(shelf, options, steps);
    if (done.finding) return report_finding(shelf, options, steps, *done.finding);
    total.add(done.counts);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu requests in %llu worlds (seeds %llu to %llu): %llu calls, %llu dispatches, %llu of "
      "them "
      "contested, %llu reloads, %llu policy faults, 0 findings; %.1f s, %.0f requests/s\n",
      n(total.requests), n(worlds), n(arguments.seed), n(arguments.seed + worlds - 1),
      n(total.calls), n(total.dispatches), n(total.contested), n(total.reloads), n(total.faults),
      seconds, static_cast<double>(total.requests) / seconds);
  return 0;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  sluice::sim::Arguments arguments;
  if (!sluice::sim::parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: sim_volume [--requests N] [--seed FIRST] [--steps N] [--compare-every N] "
                 "[--plugins DIRECTORY]\n");
    return 2;
  }
  return sluice::sim::run_all(arguments);
}
