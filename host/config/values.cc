#include "host/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "host/config/limits.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t size;
};

constexpr Unit kDurations[] = {
    {"ns", 1},
    {"us", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
};
constexpr Unit kSizes[] = {
    {"B", 1},
    {"kB", 1'000},
    {"KB", 1'000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
    {"KiB", uint64_t{1} << 10},
    {"MiB", uint64_t{1} << 20},
    {"GiB", uint64_t{1} << 30},
    {"TiB", uint64_t{1} << 40},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A whole number and one of UNITS; "" where a bare number is given. MAX must be at most INT64_MAX.
Result<uint64_t> read_with_unit(std::string_view text, std::span<const Unit> units, uint64_t max,
                                const char* units_hint, const char* max_hint) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return Error{max_hint};
  if (error != std::errc()) {
    return Error{text.starts_with('-') ? "it cannot be negative" : units_hint};
  }
  const std::string_view unit = text.substr(end - text.data());
  if (unit.starts_with('.')) return Error{"write a whole number of a smaller unit"};
  const auto found = std::find_if(units.begin(), units.end(),
                                  [&](const Unit& candidate) { return candidate.name == unit; });
  uint64_t size = 1;
  if (found != units.end()) {
    size = found->size;
  } else if (!unit.empty()) {
    return Error{std::any_of(unit.begin(), unit.end(), is_digit) ? "write one number and one unit"
                                                                 : units_hint};
  }
  if (number > max / size) return Error{max_hint};
  return number * size;
}

}  // namespace

Result<uint64_t> parse_duration(std::string_view text) {
  constexpr const char* kUnits = "the units are ns, us, ms, s, m and h";
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_digit) &&
      text.find_first_not_of('0') != std::string_view::npos) {
    return Error{"a number needs a unit: ns, us, ms, s, m or h"};
  }
  return read_with_unit(text, kDurations, kDurationMaxNs, kUnits,
                        "at most 87600h; 0 stands for no limit");
}

Result<uint64_t> parse_bytes(std::string_view text) {
  return read_with_unit(text, kSizes, INT64_MAX,
                        "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB",
                        "at most 8388607TiB; 0 stands for no limit");
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

bool is_header_name(std::string_view text) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= kHeaderNameMax &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  kSigns.find(c) != std::string_view::npos;
         });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_plain_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_free_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && printable(text) == text;
}

}  // namespace sluice::config
