// The extra columns that policies have asked for: headers of requests, labels and metrics of
// endpoints.
//
// A column's index never changes and columns are never taken back, so whoever fills rows may keep a
// snapshot and take another one after a reload; an older one is merely shorter. Threads: [any].
// Complexity: snapshots copy, O(columns), which are at most kColumnsMax a list.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::plugins {

enum class Source : uint8_t {
  kHeader,      // of requests: the header's value, read as a number
  kHashHeader,  // of requests, ints only: a hash of the header's value
  kMetric,      // of endpoints, floats only: the scraped metric of that name
  kHashLabel,   // of endpoints, ints only: a hash of the label's value
};

template <typename T>
struct Column {
  Source source;
  std::string name;  // header names in lower case
  T absent;          // what rows without the source hold
};

// Index k of a list is ints[k] (or floats[k]) of its table.
struct DeclaredColumns {
  std::vector<Column<int64_t>> request_ints, endpoint_ints;
  std::vector<Column<double>> request_floats, endpoint_floats;
};

class ColumnRegistry {
 public:
  // TABLE and SOURCE as sluice_host_v1 has them. SLUICE_NONE if there is no such source or no room
  // for another column. The same column asked for again keeps its index.
  uint32_t declare_int(uint32_t table, std::string_view source, int64_t absent);
  uint32_t declare_float(uint32_t table, std::string_view source, double absent);
  DeclaredColumns snapshot() const;

 private:
  mutable std::mutex mutex_;
  DeclaredColumns columns_;
};

}  // namespace sluice::plugins
