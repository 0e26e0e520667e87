// A trace of any kind as one Source, with everything done to it that the options say.
//
// What it is shows in its name (.toml: loads that are generated) or in its first line: Sluice's own
// CSV, Azure's CSV, or Mooncake's JSONL. docs/traces.md describes them all.
// Errors: FILE:LINE: error: ..., for what stands in the first thousand rows; what comes later is
// Source::failure().
#pragma once

#include <filesystem>
#include <istream>
#include <memory>
#include <string>

#include "core/result.h"
#include "host/traces/options.h"
#include "host/traces/source.h"

namespace sluice::traces {

Result<std::unique_ptr<Source>> open_trace(const std::filesystem::path& file,
                                           const TraceOptions& options);
// The same from a stream; NAME is what messages call it.
Result<std::unique_ptr<Source>> open_trace(std::unique_ptr<std::istream> in,
                                           const std::string& name, const TraceOptions& options);

}  // namespace sluice::traces
