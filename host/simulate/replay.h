// `sluice simulate`: one trace against one or more configurations, and everything that comes of it.
//
// Each configuration is a run of its own over the same trace; with a baseline each has a second one
// without a queue. Files: docs/simulate.md.
// Threads: [control]; prints to standard output and standard error.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/simulate/measures.h"
#include "host/traces/options.h"

namespace sluice::simulate {

inline constexpr size_t kConfigsMax = 8;

struct ReplayOptions {
  std::vector<std::filesystem::path> configs;
  std::filesystem::path trace, servers, out;
  uint64_t seed = 1;
  bool direct = false;  // --baseline direct
  bool json = false;    // the summary on standard output, instead of a table
  traces::TraceOptions traces;
  MeasureOptions measures;
};

// Returns the exit code.
int replay(const ReplayOptions& options);

}  // namespace sluice::simulate
