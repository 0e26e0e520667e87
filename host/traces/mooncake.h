// A row of the public Mooncake traces: one JSON object a line.
//
//   {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 48]}
//
// timestamp is milliseconds from where the trace begins; each of hash_ids names 512 tokens of the
// prompt and all before them, so equal n-th ids mean equal first n. hash_ids may be missing; other
// keys mean nothing here. Complexity: O(bytes).
#pragma once

#include <memory>

#include "host/traces/row.h"

namespace sluice::traces {

class MooncakeFormat final : public Format {
 public:
  MooncakeFormat();
  ~MooncakeFormat() override;
  Result<void> read(std::string_view line, Row& row) override;
  bool has_header() const override { return false; }

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace sluice::traces
