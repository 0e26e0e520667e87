// A file of loads: what traffic a generator makes. docs/traces.md is its reference.
//
// Times are of the trace, in nanoseconds; rates in requests a second.
#pragma once

#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "host/config/diagnostics.h"
#include "host/traces/options.h"
#include "host/traces/source.h"

namespace sluice::traces {

enum class LoadKind : uint8_t {
  kUniform,  // evenly spaced
  kPoisson,
  kGamma,   // gaps of a gamma distribution: bursts if their cv is above 1
  kOnOff,   // Poisson while on, silence while off
  kClosed,  // clients that wait for their answer and think
};

// How many tokens a request has.
struct TokenCount {
  enum class Kind : uint8_t {
    kFixed,      // a
    kLogNormal,  // of mean a and coefficient of variation b
    kUniform,    // a to b, both included
  } kind = Kind::kFixed;
  double a = 1, b = 0;
};

// One [[load]].
struct Load {
  LoadKind kind = LoadKind::kPoisson;
  TimeNs from = 0, to = 0;        // it sends in [from, to)
  double rate = 0, rate_end = 0;  // at the beginning and at the end, on a line between
  double cv = 1;                  // of gamma gaps
  TimeNs on = 0, off = 0;
  uint32_t clients = 0;
  TimeNs think = 0;
  std::string flow, objective, model;
  TokenCount prompt, output;
  std::string prefix_group;            // "" = prompts that share nothing
  uint32_t prefix_tokens = 1'000'000;  // that they share, as far as they go
};

// The loads of TEXT, or nothing and errors in DIAGNOSTICS. NAME is what these call the file.
std::optional<std::vector<Load>> read_loads(std::string_view text, const std::string& name,
                                            config::Diagnostics& diagnostics);

// The loads of a stream as a Source. Their own times say when they begin and how long they last, so
// OPTIONS may neither begin later nor repeat.
Result<std::unique_ptr<Source>> open_loads(std::istream& in, const std::string& name,
                                           const TraceOptions& options);

}  // namespace sluice::traces
