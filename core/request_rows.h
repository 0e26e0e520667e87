// Requests as the columns that policies read: one row for keys and scores, up to kVictimRowsMax for
// eviction.
//
// Scratch space: filled before a call, valid until it is filled again. Allocates only while it
// grows. Borrows ABSENT, which says how many declared columns there are: a row that is shorter, of
// a request that came before a column was declared, is filled up from it.
#pragma once

#include <vector>

#include <sluice/tables.h>

#include "core/declared_columns.h"
#include "core/pipeline.h"
#include "core/request.h"

namespace sluice {

class RequestRows {
 public:
  explicit RequestRows(const AbsentColumns& absent);
  void clear();
  void add(const Request& r, uint64_t flow_hash, int32_t priority, uint32_t cached_tokens);
  // CACHED: whether the policy asked for the cached_tokens column.
  const sluice_requests& view(bool cached);
  uint32_t size() const { return view_.count; }
  // The seq column, which every key starts as.
  const std::vector<uint64_t>& seq() const { return seq_; }

 private:
  sluice_requests view_{};
  std::vector<uint64_t> seq_, arrival_ns_, deadline_ns_, cost_, bytes_, flow_hash_, model_hash_;
  std::vector<uint32_t> flow_, prompt_tokens_, output_expected_, output_max_, cached_tokens_;
  std::vector<int32_t> priority_;
  DeclaredColumns<int64_t> ints_;
  DeclaredColumns<double> floats_;
};

}  // namespace sluice
