// A row of Sluice's own trace format.
//
//   arrival_s,flow,objective,model,prompt_tokens,output_tokens[,prefix_group]
//
// arrival_s counts from where the trace begins. flow, objective, model and prefix_group may be
// empty. Requests of one prefix_group have prompts that begin alike, as far as the shorter goes.
#pragma once

#include <string>
#include <string_view>

#include "host/traces/row.h"

namespace sluice::traces {

inline constexpr std::string_view kNativeHeader =
    "arrival_s,flow,objective,model,prompt_tokens,output_tokens";
inline constexpr std::string_view kGroupColumn = ",prefix_group";

class NativeFormat final : public Format {
 public:
  explicit NativeFormat(bool has_group) : has_group_(has_group) {}
  Result<void> read(std::string_view line, Row& row) override;

 private:
  bool has_group_;
  std::string scratch_;
};

}  // namespace sluice::traces
