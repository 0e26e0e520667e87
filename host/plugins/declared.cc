#include "host/plugins/declared.h"

#include <sluice/abi.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "host/config/text.h"
#include "host/config/values.h"
#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

struct Parsed {
  Source source;
  std::string name;
};

std::optional<Parsed> parse(uint32_t table, std::string_view text) {
  struct Prefix {
    std::string_view text;
    uint32_t table;
    Source source;
  };
  constexpr Prefix kPrefixes[] = {{"header:", SLUICE_REQUESTS, Source::kHeader},
                                  {"hash:header:", SLUICE_REQUESTS, Source::kHashHeader},
                                  {"metric:", SLUICE_ENDPOINTS, Source::kMetric},
                                  {"hash:label:", SLUICE_ENDPOINTS, Source::kHashLabel}};
  for (const Prefix& prefix : kPrefixes) {
    if (prefix.table != table || !text.starts_with(prefix.text)) continue;
    const std::string_view name = text.substr(prefix.text.size());
    if (name.size() > kColumnNameMax || !config::is_plain_name(name)) return std::nullopt;
    if (table == SLUICE_ENDPOINTS) return Parsed{prefix.source, std::string(name)};
    if (!config::is_header_name(name)) return std::nullopt;
    return Parsed{prefix.source, config::lower_case(name)};
  }
  return std::nullopt;
}

// Bit by bit, so that a NaN is the same as itself.
bool same(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }
bool same(int64_t a, int64_t b) { return a == b; }

template <typename T>
uint32_t add(std::vector<Column<T>>& columns, Parsed parsed, T absent) {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column<T>& column) {
    return column.source == parsed.source && column.name == parsed.name &&
           same(column.absent, absent);
  });
  const auto index = static_cast<uint32_t>(found - columns.begin());
  if (found != columns.end()) return index;
  if (columns.size() >= kColumnsMax) return SLUICE_NONE;
  columns.push_back({parsed.source, std::move(parsed.name), absent});
  return index;
}

}  // namespace

uint32_t ColumnRegistry::declare_int(uint32_t table, std::string_view source, int64_t absent) {
  auto parsed = parse(table, source);
  if (!parsed || parsed->source == Source::kMetric) return SLUICE_NONE;
  const std::lock_guard lock(mutex_);
  return add(table == SLUICE_REQUESTS ? columns_.request_ints : columns_.endpoint_ints,
             std::move(*parsed), absent);
}

uint32_t ColumnRegistry::declare_float(uint32_t table, std::string_view source, double absent) {
  auto parsed = parse(table, source);
  if (!parsed || parsed->source == Source::kHashHeader || parsed->source == Source::kHashLabel)
    return SLUICE_NONE;
  const std::lock_guard lock(mutex_);
  return add(table == SLUICE_REQUESTS ? columns_.request_floats : columns_.endpoint_floats,
             std::move(*parsed), absent);
}

DeclaredColumns ColumnRegistry::snapshot() const {
  const std::lock_guard lock(mutex_);
  return columns_;
}

}  // namespace sluice::plugins
