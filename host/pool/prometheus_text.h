// A pull parser of the Prometheus text format: one sample at a time, as views into the page.
//
// Reads `name{label="value",...} value [timestamp]`; comments and empty lines are passed over,
// lines that are neither are counted and passed over. Families, types and help texts are ignored: a
// name is enough for what is asked here. Threads: one at a time. Ownership: borrows the page;
// allocates nothing but in unescape(). Complexity: O(bytes of the page). Source: Prometheus
// "Exposition formats", version 0.0.4.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct MetricSample {
  std::string_view name;
  std::string_view labels;  // between the braces, well-formed, values still escaped
  double value = 0;         // may be NaN or infinite
};

class PrometheusText {
 public:
  explicit PrometheusText(std::string_view page) : rest_(page) {}

  // The next well-formed sample into OUT; false at the end of the page.
  bool next(MetricSample& out);
  // Lines passed over so far because they could not be read.
  size_t malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  size_t malformed_ = 0;
};

// The value of label KEY as written, still escaped; LABELS as in MetricSample.
std::optional<std::string_view> find_label(std::string_view labels, std::string_view key);

// A label value with \\, \" and \n resolved. Other escapes stay as they are.
std::string unescape_label(std::string_view value);

}  // namespace sluice
