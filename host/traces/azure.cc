#include "host/traces/azure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "host/config/text.h"
#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

constexpr int kYearMin = 1970, kYearMax = 2261;  // what fits in 64 bits of nanoseconds
constexpr size_t kTimeBytesShown = 60;

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
  if (!date.ok() || y < kYearMin || y > kYearMax || h > 23 || mi > 59 || s > 60) return false;
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

}  // namespace

Result<AzureRow> parse_azure_row(std::string_view line) {
  const size_t first = line.find(',');
  const size_t second = first == line.npos ? line.npos : line.find(',', first + 1);
  if (second == line.npos || line.find(',', second + 1) != line.npos) {
    return Error{fmt::format("expected three columns, {}", kAzureHeader)};
  }
  AzureRow row;
  if (!parse_time(line.substr(0, first), row.at_ns)) {
    const std::string_view text = line.substr(0, std::min(first, kTimeBytesShown));
    return Error{fmt::format("`{}` is not a time like 2023-11-16 18:15:46.6805900",
                             config::printable(text))};
  }
  if (!read_tokens(line.substr(first + 1, second - first - 1), row.prompt_tokens) ||
      !read_tokens(line.substr(second + 1), row.output_tokens)) {
    return Error{fmt::format("tokens must be whole numbers up to {}", kTokensMax)};
  }
  return row;
}

Result<void> AzureFormat::read(std::string_view line, Row& row) {
  const Result<AzureRow> parsed = parse_azure_row(line);
  if (!parsed) return Error{parsed.error()};
  row.at_ns = parsed.value().at_ns;
  row.prompt_tokens = parsed.value().prompt_tokens;
  row.output_tokens = parsed.value().output_tokens;
  return {};
}

}  // namespace sluice::traces
