// `sluice demo`: starts servers and a host as children, loads them, and holds the figures to the
// promises.
//
// Everything stays on the loopback interface and in one temporary directory, which is removed at
// the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "host/demo/trace.h"

namespace sluice::demo {

struct DemoOptions {
  std::string scenario = "main";
  std::optional<double> duration_s;  // of one load; the scenario's own if left out
  std::optional<uint32_t> runs;
  std::filesystem::path json;   // where all figures go; empty = nowhere
  std::filesystem::path trace;  // plays this instead of a scenario; empty = none
  TraceScale scale;             // of the trace
  std::string envoy = "envoy";  // the program, for the scenario of that name
  std::filesystem::path envoy_bootstrap = "conf/envoy.yaml";
  uint64_t seed = 1;
  bool plain = false;  // no picture even on a terminal
  bool keep = false;   // leaves the temporary directory
};

// Exit code: 0 when every promise was kept, 1 otherwise, 2 for options that cannot be, 130 when
// interrupted.
int run_demo(const DemoOptions& options);

}  // namespace sluice::demo
