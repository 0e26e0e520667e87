// Collects samples into metric families for the text serializer.
//
// One family a metric, in the order of first use; one series a set of labels: a second value for
// the same labels would make the page invalid, so that callers fold names before they come here.
// Label values are made fit: clients choose some of them.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <vector>

#include "host/admin/metric_catalog.h"

namespace sluice::metrics {

inline constexpr size_t kLabelBytesMax = 256;
inline constexpr const char* kOther = "(other)";  // what did not get a series of its own

// TEXT as a label value: valid UTF-8 (else the whole page would be refused), no control characters,
// of bounded length.
std::string fit_label(std::string_view text);

using Labels = std::vector<prometheus::ClientMetric::Label>;

class Families {
 public:
  void add(const Metric& metric, Labels labels, double value);
  void add(const Metric& metric, Labels labels, prometheus::ClientMetric::Histogram histogram);
  // So that it is listed even if nothing was added.
  void declare(const Metric& metric) { family(metric); }

  std::vector<prometheus::MetricFamily>& all() { return all_; }
  std::string text() const;

 private:
  prometheus::MetricFamily& family(const Metric& metric);
  std::vector<prometheus::MetricFamily> all_;
};

}  // namespace sluice::metrics
