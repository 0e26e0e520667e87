// One request as a trace file tells it, and what turns lines into such rows.
//
// Threads: one. Units: nanoseconds, tokens. Rows are used again and again, so that reading one
// allocates nothing once their strings have grown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::traces {

struct Row {
  int64_t at_ns = 0;
  uint32_t prompt_tokens = 0, output_tokens = 0;
  std::string flow, objective, model;
  std::string group;                // prompts of one group begin alike
  std::vector<uint64_t> block_ids;  // what its prompt consists of, kIdTokens each
};

// The format of a file.
class Format {
 public:
  virtual ~Format() = default;
  // Reads LINE, which is not empty and has LineReader::kPadding bytes behind it. An error is what
  // is wrong with it, fit to follow "error: ".
  virtual Result<void> read(std::string_view line, Row& row) = 0;
  // The first line names the columns.
  virtual bool has_header() const { return true; }
  // Times are of a calendar: the trace begins with its first row.
  virtual bool has_dates() const { return false; }
};

// A whole number from 0 to kTokensMax.
bool read_tokens(std::string_view text, uint32_t& out);

}  // namespace sluice::traces
