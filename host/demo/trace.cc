#include "host/demo/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/traces/azure.h"
#include "host/traces/limits.h"

namespace sluice::demo {
namespace {

constexpr double kNs = 1e9;

uint32_t scaled(uint32_t tokens, double factor) {
  return static_cast<uint32_t>(
      std::clamp(std::round(tokens * factor), 1.0, static_cast<double>(traces::kTokensMax)));
}

}  // namespace

Result<std::vector<TraceRow>> read_trace(std::istream& in, const std::string& name) {
  std::vector<traces::AzureRow> raw;
  std::string text;
  size_t number = 0;
  auto error = [&](std::string_view what) {
    return Error{fmt::format("{}:{}: error: {}", name, number, what)};
  };
  while (std::getline(in, text)) {
    ++number;
    std::string_view line = text;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      if (line != traces::kAzureHeader) {
        return error(fmt::format("the first line must be {}", traces::kAzureHeader));
      }
      continue;
    }
    if (line.empty()) continue;
    const Result<traces::AzureRow> row = traces::parse_azure_row(line);
    if (!row) return error(row.error());
    if (raw.size() == kTraceRowsMax) return error("more rows than can be kept");
    raw.push_back(row.value());
  }
  if (number == 0) return Error{fmt::format("{}: error: the file is empty", name)};
  if (raw.empty()) return Error{fmt::format("{}: error: there are no rows", name)};
  std::stable_sort(raw.begin(), raw.end(), [](auto& a, auto& b) { return a.at_ns < b.at_ns; });
  std::vector<TraceRow> rows;
  rows.reserve(raw.size());
  for (const traces::AzureRow& row : raw) {
    rows.push_back({static_cast<uint64_t>(row.at_ns - raw.front().at_ns), row.prompt_tokens,
                    row.output_tokens});
  }
  return rows;
}

Result<ScaledTrace> scale_trace(const std::vector<TraceRow>& rows, const TraceScale& scale) {
  const auto start = static_cast<uint64_t>(scale.start_s * kNs);
  auto row = std::lower_bound(rows.begin(), rows.end(), start,
                              [](const TraceRow& r, uint64_t at) { return r.at_ns < at; });
  if (row == rows.end()) {
    return Error{fmt::format("the trace ends before second {}; it lasts {:.0f} s", scale.start_s,
                             rows.empty() ? 0.0 : static_cast<double>(rows.back().at_ns) / kNs)};
  }
  const double capacity = scale.slots * scale.duration_s;  // slot seconds
  const uint64_t begin = row->at_ns;
  ScaledTrace out;
  double work = 0;
  for (; row != rows.end(); ++row) {
    const double span = static_cast<double>(row->at_ns - begin) / kNs;
    const bool enough =
        scale.speed > 0 ? span > scale.duration_s * scale.speed : work >= scale.load * capacity;
    if (enough) break;
    TraceRow scaled_row{row->at_ns - begin, scaled(row->prompt_tokens, scale.tokens),
                        scaled(row->output_tokens, scale.tokens)};
    work += (scale.first_token_ms + (scaled_row.output_tokens - 1) * scale.inter_token_ms) / 1000;
    out.rows.push_back(scaled_row);
  }
  const double span = static_cast<double>(out.rows.back().at_ns) / kNs;
  out.speed = scale.speed > 0 ? scale.speed : std::max(span / scale.duration_s, 1e-9);
  out.load = work / capacity;
  for (TraceRow& r : out.rows) {
    r.at_ns = static_cast<uint64_t>(static_cast<double>(r.at_ns) / out.speed);
  }
  return out;
}

}  // namespace sluice::demo
