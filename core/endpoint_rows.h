// What scoring policies see of the endpoints: a row for each that is up, as columns; the twin of
// RequestRows.
//
// Rows are built again after a change of who is there or of what was reported; what changes with
// each request is written into them as they stand.
// Threads: as the engine. O(rows) to build, O(1) to write into; the ages of metrics cost O(rows) a
// view.
#pragma once

#include <vector>

#include <sluice/scoring.h>

#include "core/declared_columns.h"
#include "core/pipeline.h"
#include "core/types.h"

namespace sluice {

class EndpointRows {
 public:
  // What this host knows of an endpoint by its own counts.
  struct Own {
    uint32_t limit = 0, in_flight = 0;
    uint64_t cost = 0;
  };

  // ABSENT is borrowed: the declared columns that there are, and what fills up shorter rows.
  explicit EndpointRows(const AbsentColumns& absent);

  // The rows are no longer right.
  void outdated() { built_ = false; }
  bool built() const { return built_; }
  void begin(uint32_t slots);
  void add(uint32_t slot, const Own& own, const EndpointReport& report, TimeNs now);
  void end();
  void set(uint32_t slot, const Own& own);

  // NOW ages the metrics; reports are not of the future.
  const sluice_endpoints& view(TimeNs now);
  uint32_t row_of(uint32_t slot) const { return row_of_[slot]; }

 private:
  bool built_ = false;
  sluice_endpoints view_{};
  std::vector<uint32_t> row_of_;  // by slot
  std::vector<uint32_t> slot_, inflight_, limit_, waiting_, running_;
  std::vector<uint64_t> inflight_cost_, kv_tokens_max_, metrics_age_ns_, taken_ns_;
  std::vector<uint64_t> never_;  // SLUICE_NEVER where there is no report, else 0
  std::vector<float> kv_used_;
  DeclaredColumns<int64_t> ints_;
  DeclaredColumns<double> floats_;
};

}  // namespace sluice
