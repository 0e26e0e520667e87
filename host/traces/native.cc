#include "host/traces/native.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "host/config/text.h"
#include "host/config/values.h"
#include "host/traces/csv.h"
#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

enum Column : size_t { kArrival, kFlow, kObjective, kModel, kPrompt, kOutput, kGroup, kColumns };

bool is_name(std::string_view text) {
  const bool plain =
      text.size() <= kNameBytesMax &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  return plain || config::is_free_name(text);
}

}  // namespace

Result<void> NativeFormat::read(std::string_view line, Row& row) {
  std::array<std::string_view, kColumns> fields;
  const Result<size_t> count = split_csv(line, fields, scratch_);
  if (!count) return Error{count.error()};
  const size_t columns = has_group_ ? kColumns : kColumns - 1;
  if (count.value() != columns) {
    return Error{
        fmt::format("expected {} columns as in the header, found {}", columns, count.value())};
  }
  constexpr double kTraceMaxSeconds = static_cast<double>(kTraceMaxNs) / 1e9;
  const std::string_view text = fields[kArrival];
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(seconds >= 0 && seconds <= kTraceMaxSeconds)) {
    return Error{
        fmt::format("arrival_s must be seconds from where the trace begins, 0 to {:.0f}, "
                    "not {}",
                    kTraceMaxSeconds, config::quote(text))};
  }
  row.at_ns = std::llround(seconds * 1e9);
  if (!read_tokens(fields[kPrompt], row.prompt_tokens) ||
      !read_tokens(fields[kOutput], row.output_tokens)) {
    return Error{fmt::format("tokens must be whole numbers up to {}", kTokensMax)};
  }
  for (const Column column : {kFlow, kObjective, kModel, kGroup}) {
    if (is_name(fields[column])) continue;
    return Error{
        fmt::format("{} is no name; names are valid UTF-8 without control characters, at "
                    "most {} bytes",
                    config::quote(fields[column]), kNameBytesMax)};
  }
  row.flow = fields[kFlow];
  row.objective = fields[kObjective];
  row.model = fields[kModel];
  row.group = fields[kGroup];
  return {};
}

}  // namespace sluice::traces
