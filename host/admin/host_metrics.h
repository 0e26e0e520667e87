// What clients experienced: counters and histograms over finished requests.
//
// Threads: record() and write() are [any]; one lock, held for the few additions of one request.
// Memory: bounded whatever names and statuses come: kBandsKept bands, kModelsKept models,
// kStatusesKept combinations of band, outcome and status; more share "(other)". A model that was
// not asked for in kModelIdleNs gives up its place to a new one, so that names made up by clients
// do not keep real ones out for ever.
#pragma once

#include <map>
#include <mutex>
#include <tuple>

#include "core/types.h"
#include "host/admin/families.h"
#include "host/admin/histogram.h"
#include "host/pool/string_map.h"
#include "host/transport/record.h"

namespace sluice {

class HostMetrics {
 public:
  static constexpr size_t kBandsKept = 128;
  static constexpr size_t kModelsKept = 1000;
  static constexpr size_t kStatusesKept = 2000;
  static constexpr TimeNs kModelIdleNs = 600'000'000'000;
  static constexpr TimeNs kModelSweepNs = 1'000'000'000;  // idle ones are looked for no more often

  void record(TimeNs now, const RequestRecord& record);
  void write(metrics::Families& out) const;

 private:
  struct Tokens {
    uint64_t prompt = 0, cached = 0, output = 0;
  };
  struct Band {
    metrics::Histogram<metrics::kWaitBounds> queue, first_byte;
    metrics::Histogram<metrics::kDurationBounds> duration;
    Tokens tokens;
  };
  struct Model {
    TimeNs used_at = 0;
    std::array<uint64_t, kOutcomes> ended{};
    Tokens tokens;
  };

  Band& band(std::string_view name);
  Model& model(TimeNs now, const RequestRecord& record);

  mutable std::mutex mutex_;
  StringMap<Band> bands_;
  StringMap<Model> models_;
  TimeNs models_swept_at_ = 0;
  std::map<std::tuple<std::string, Outcome, uint16_t>, uint64_t, std::less<>> requests_;
  uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

}  // namespace sluice
