// Reads a trace in the public Azure format (TIMESTAMP,ContextTokens,GeneratedTokens) and scales a
// piece of it.
//
// Timestamps are "YYYY-MM-DD HH:MM:SS.fffffff", with or without the fraction; only their distances
// matter. Rows that go back in time are sorted in. Units: nanoseconds from the first row, tokens.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "core/result.h"

namespace sluice::demo {

inline constexpr size_t kTraceRowsMax = 10'000'000;

struct TraceRow {
  uint64_t at_ns = 0;
  uint32_t prompt_tokens = 0, output_tokens = 0;
};

// An error names NAME and the line.
Result<std::vector<TraceRow>> read_trace(std::istream& in, const std::string& name);

struct TraceScale {
  double start_s = 0;      // where in the trace to begin
  double duration_s = 60;  // how long the piece is to last when it is replayed
  double tokens = 0.25;    // times the tokens of a row, rounded, at least 1
  double speed = 0;   // times the trace's own speed; 0 = such that the slots are loaded with `load`
  double load = 1.0;  // service time that arrives over what the slots can give
  uint32_t slots = 32;
  double first_token_ms = 50, inter_token_ms = 10;
};

struct ScaledTrace {
  std::vector<TraceRow> rows;
  double speed = 0;  // the one used
  double load = 0;   // the one that results
};

// An error says why no row is left. A trace that ends before the load is reached is played to its
// end.
Result<ScaledTrace> scale_trace(const std::vector<TraceRow>& rows, const TraceScale& scale);

}  // namespace sluice::demo
