#include "host/admin/host_metrics.h"

#include "host/admin/metric_catalog.h"

namespace sluice {
namespace {

double seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

template <typename T>
void add_tokens(T& tokens, const RequestRecord& record) {
  tokens.prompt += record.prompt_tokens;
  tokens.cached += record.cached_tokens;
  tokens.output += record.output_tokens;
}

template <typename T>
void write_tokens(metrics::Families& out, const metrics::Metric& metric, const char* key,
                  const std::string& name, const T& tokens) {
  out.add(metric, {{key, name}, {"kind", "prompt"}}, static_cast<double>(tokens.prompt));
  out.add(metric, {{key, name}, {"kind", "cached"}}, static_cast<double>(tokens.cached));
  out.add(metric, {{key, name}, {"kind", "output"}}, static_cast<double>(tokens.output));
}

}  // namespace

void HostMetrics::record(TimeNs now, const RequestRecord& record) {
  std::lock_guard lock(mutex_);
  const std::string band_name = metrics::fit_label(record.band);
  auto key = std::tuple(band_name, record.outcome, record.status);
  auto it = requests_.find(key);
  if (it == requests_.end()) {
    if (requests_.size() >= kStatusesKept) key = {metrics::kOther, record.outcome, 0};
    it = requests_.try_emplace(std::move(key), 0).first;
  }
  it->second++;
  bytes_in_ += record.bytes_in;
  bytes_out_ += record.bytes_out;

  Band& its_band = band(band_name);
  if (record.parked) its_band.queue.observe(seconds(record.queue_ns));
  if (record.first_byte_ns != 0) its_band.first_byte.observe(seconds(record.first_byte_ns));
  its_band.duration.observe(seconds(record.total_ns));
  add_tokens(its_band.tokens, record);

  Model& its_model = model(now, record);
  its_model.used_at = now;
  its_model.ended[static_cast<size_t>(record.outcome)]++;
  add_tokens(its_model.tokens, record);
}

HostMetrics::Band& HostMetrics::band(std::string_view name) {
  if (auto it = bands_.find(name); it != bands_.end()) return it->second;
  return bands_[std::string(bands_.size() < kBandsKept ? name : metrics::kOther)];
}

HostMetrics::Model& HostMetrics::model(TimeNs now, const RequestRecord& record) {
  // Names that nobody serves are the client's invention.
  const bool invented = record.model.empty() || record.outcome == Outcome::kRejectedBad ||
                        record.outcome == Outcome::kRejectedUnknownModel;
  if (invented) return models_[metrics::kOther];
  const std::string name = metrics::fit_label(record.model);
  if (auto it = models_.find(name); it != models_.end()) return it->second;
  if (models_.size() >= kModelsKept && now >= models_swept_at_ + kModelSweepNs) {
    models_swept_at_ = now;
    std::erase_if(models_, [&](const auto& entry) {
      return entry.first != metrics::kOther && entry.second.used_at + kModelIdleNs < now;
    });
  }
  return models_[models_.size() < kModelsKept ? name : metrics::kOther];
}

void HostMetrics::write(metrics::Families& out) const {
  std::lock_guard lock(mutex_);
  for (const metrics::Metric& metric :
       {metrics::kRequests, metrics::kModelRequests, metrics::kQueueSeconds,
        metrics::kFirstByteSeconds, metrics::kDurationSeconds, metrics::kTokens,
        metrics::kModelTokens}) {
    out.declare(metric);
  }
  for (const auto& [key, count] : requests_) {
    const auto& [name, outcome, status] = key;
    out.add(metrics::kRequests,
            {{"band", name}, {"outcome", to_string(outcome)}, {"status", std::to_string(status)}},
            static_cast<double>(count));
  }
  for (const auto& [name, model] : models_) {
    for (size_t i = 0; i < model.ended.size(); i++) {
      if (model.ended[i] == 0) continue;
      out.add(metrics::kModelRequests,
              {{"model", name}, {"outcome", to_string(static_cast<Outcome>(i))}},
              static_cast<double>(model.ended[i]));
    }
    write_tokens(out, metrics::kModelTokens, "model", name, model.tokens);
  }
  for (const auto& [name, band] : bands_) {
    const metrics::Labels labels = {{"band", name}};
    out.add(metrics::kQueueSeconds, labels, band.queue.value());
    out.add(metrics::kFirstByteSeconds, labels, band.first_byte.value());
    out.add(metrics::kDurationSeconds, labels, band.duration.value());
    write_tokens(out, metrics::kTokens, "band", name, band.tokens);
  }
  out.add(metrics::kBodyBytes, {{"direction", "in"}}, static_cast<double>(bytes_in_));
  out.add(metrics::kBodyBytes, {{"direction", "out"}}, static_cast<double>(bytes_out_));
}

}  // namespace sluice
