// What the tests of traces share: a trace from text, drained.
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "host/traces/open.h"

namespace sluice::traces {

// An Arrival that lives on.
struct Taken {
  double at_s = 0;
  TimeNs at = 0;
  std::string flow, objective, band, model;
  uint32_t prompt_tokens = 0, output_tokens = 0;
  std::vector<uint64_t> blocks;
  uint32_t client = kNone;
  uint64_t ordinal = 0;
  bool operator==(const Taken&) const = default;
};

inline Taken taken(const Arrival& a) {
  return {static_cast<double>(a.at) / 1e9,
          a.at,
          std::string(a.flow),
          std::string(a.objective),
          std::string(a.band),
          std::string(a.model),
          a.prompt_tokens,
          a.output_tokens,
          {a.blocks.begin(), a.blocks.end()},
          a.client,
          a.ordinal};
}

inline Result<std::unique_ptr<Source>> open_text(const std::string& text,
                                                 const TraceOptions& options = {},
                                                 const std::string& name = "t.csv") {
  return open_trace(std::make_unique<std::istringstream>(text), name, options);
}

inline std::vector<Taken> drain(Source& source, size_t max = 10'000'000) {
  std::vector<Taken> out;
  while (source.next_at() != kNever && out.size() < max) out.push_back(taken(source.take()));
  return out;
}

struct Drained {
  std::vector<Taken> rows;
  std::string error;  // why it did not open or stopped early; "" = it did not
};

inline Drained drained(const std::string& text, const TraceOptions& options = {},
                       const std::string& name = "t.csv") {
  auto source = open_text(text, options, name);
  if (!source) return {{}, source.error()};
  Drained out{drain(**source), ""};
  out.error = (*source)->failure().value_or("");
  return out;
}

// "a,b,c": the flows in order.
inline std::string flows(const std::vector<Taken>& rows) {
  std::string out;
  for (const Taken& row : rows) out += (out.empty() ? "" : ",") + row.flow;
  return out;
}

inline std::vector<double> times(const std::vector<Taken>& rows) {
  std::vector<double> out;
  for (const Taken& row : rows) out.push_back(row.at_s);
  return out;
}

}  // namespace sluice::traces
