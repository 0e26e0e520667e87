// A row of the public Azure LLM traces of 2023: TIMESTAMP,ContextTokens,GeneratedTokens.
//
// A timestamp is "YYYY-MM-DD HH:MM:SS.fffffff", with or without a fraction of at most nine digits.
// Complexity: O(bytes), no allocation.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/traces/row.h"

namespace sluice::traces {

inline constexpr std::string_view kAzureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

struct AzureRow {
  int64_t at_ns = 0;  // since 1970
  uint32_t prompt_tokens = 0, output_tokens = 0;
};

// LINE is without its end. The error says what is wrong, but not where.
Result<AzureRow> parse_azure_row(std::string_view line);

class AzureFormat final : public Format {
 public:
  Result<void> read(std::string_view line, Row& row) override;
  bool has_dates() const override { return true; }
};

}  // namespace sluice::traces
