#include "host/admin/families.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>

namespace sluice::metrics {
namespace {

// Bytes of the well-formed UTF-8 character that TEXT starts with, or 0 if it starts with none.
size_t character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; i++) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return size;
}

}  // namespace

std::string fit_label(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = character(text);
    const bool control =
        size == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f);
    if (out.size() + std::max<size_t>(size, 1) > kLabelBytesMax) break;
    if (size == 0 || control) {
      out += '?';
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

void Families::add(const Metric& metric, Labels labels, double value) {
  prometheus::ClientMetric& sample = family(metric).metric.emplace_back();
  sample.label = std::move(labels);
  if (metric.type == prometheus::MetricType::Counter) {
    sample.counter.value = value;
  } else {
    sample.gauge.value = value;
  }
}

void Families::add(const Metric& metric, Labels labels,
                   prometheus::ClientMetric::Histogram histogram) {
  prometheus::ClientMetric& sample = family(metric).metric.emplace_back();
  sample.label = std::move(labels);
  sample.histogram = std::move(histogram);
}

std::string Families::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, all_);
  return std::move(out).str();
}

prometheus::MetricFamily& Families::family(const Metric& metric) {
  // From the back: the one in use is among the last.
  for (auto it = all_.rbegin(); it != all_.rend(); ++it) {
    if (it->name == metric.name) return *it;
  }
  prometheus::MetricFamily& fresh = all_.emplace_back();
  fresh.name = metric.name;
  fresh.help = metric.help;
  fresh.type = metric.type;
  return fresh;
}

}  // namespace sluice::metrics
