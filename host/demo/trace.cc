#include "host/demo/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace sluice::demo {
namespace {

constexpr std::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";
constexpr uint32_t kRowTokensMax = 1'000'000;
constexpr double kNs = 1e9;

// Takes a number of exactly DIGITS digits and the character after it (0 = none) off the front of
// TEXT.
bool take(std::string_view& text, size_t digits, char after, int& out) {
  const size_t size = digits + (after != 0 ? 1 : 0);
  if (text.size() < size || (after != 0 && text[digits] != after)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, out);
  if (error != std::errc() || end != text.data() + digits || text[0] == '-') return false;
  text.remove_prefix(size);
  return true;
}

bool parse_time(std::string_view text, int64_t& ns) {
  using namespace std::chrono;
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!take(text, 4, '-', y) || !take(text, 2, '-', mo) || !take(text, 2, ' ', d) ||
      !take(text, 2, ':', h) || !take(text, 2, ':', mi) || !take(text, 2, 0, s)) {
    return false;
  }
  const year_month_day date{year(y), month(static_cast<unsigned>(mo)),
                            day(static_cast<unsigned>(d))};
  if (!date.ok() || h > 23 || mi > 59 || s > 60) return false;
  int64_t fraction = 0;
  if (!text.empty()) {
    if (text[0] != '.' || text.size() < 2 || text.size() > 10) return false;
    int64_t unit = 100'000'000;
    for (char c : text.substr(1)) {
      if (c < '0' || c > '9') return false;
      fraction += (c - '0') * unit;
      unit /= 10;
    }
  }
  const auto seconds_of_day = hours(h) + minutes(mi) + seconds(s);
  ns = duration_cast<nanoseconds>(sys_days(date).time_since_epoch() + seconds_of_day).count() +
       fraction;
  return true;
}

bool parse_tokens(std::string_view text, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= kRowTokensMax;
}

uint32_t scaled(uint32_t tokens, double factor) {
  return static_cast<uint32_t>(
      std::clamp(std::round(tokens * factor), 1.0, static_cast<double>(kRowTokensMax)));
}

}  // namespace

Result<std::vector<TraceRow>> read_trace(std::istream& in, const std::string& name) {
  struct Row {
    int64_t ns;
    uint32_t prompt, output;
  };
  std::vector<Row> raw;
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
      if (line != kHeader) return error(fmt::format("the first line must be {}", kHeader));
      continue;
    }
    if (line.empty()) continue;
    const size_t first = line.find(',');
    const size_t second = first == line.npos ? line.npos : line.find(',', first + 1);
    if (second == line.npos || line.find(',', second + 1) != line.npos) {
      return error("expected three columns, TIMESTAMP,ContextTokens,GeneratedTokens");
    }
    Row row{};
    if (!parse_time(line.substr(0, first), row.ns)) {
      return error(fmt::format("`{}` is not a time like 2023-11-16 18:15:46.6805900",
                               line.substr(0, first)));
    }
    if (!parse_tokens(line.substr(first + 1, second - first - 1), row.prompt) ||
        !parse_tokens(line.substr(second + 1), row.output)) {
      return error(fmt::format("tokens must be whole numbers up to {}", kRowTokensMax));
    }
    if (raw.size() == kTraceRowsMax) return error("more rows than can be kept");
    raw.push_back(row);
  }
  if (number == 0) return Error{fmt::format("{}: error: the file is empty", name)};
  if (raw.empty()) return Error{fmt::format("{}: error: there are no rows", name)};
  std::stable_sort(raw.begin(), raw.end(), [](auto& a, auto& b) { return a.ns < b.ns; });
  std::vector<TraceRow> rows;
  rows.reserve(raw.size());
  for (const Row& row : raw) {
    rows.push_back({static_cast<uint64_t>(row.ns - raw.front().ns), row.prompt, row.output});
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
