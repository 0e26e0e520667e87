// The model names in an answer to GET /v1/models: {"data": [{"id": "name", ...}, ...]}.
//
// Threads: pure. Limits: pool_limits.h; names that are empty, too long or end in '*' (a pattern in
// pipeline.toml) are left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// Sorted, each once; nullopt if BODY is not such a list.
std::optional<std::vector<std::string>> parse_model_list(std::string_view body);

}  // namespace sluice
