#include "host/pool/model_list.h"

#include <simdjson.h>

#include <algorithm>

#include "host/pool/pool_limits.h"

namespace sluice {

std::optional<std::vector<std::string>> parse_model_list(std::string_view body) {
  if (body.size() > kPageBytesMax) return std::nullopt;
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parser.parse(body.data(), body.size())["data"].get(list)) return std::nullopt;
  std::vector<std::string> names;
  for (simdjson::dom::element entry : list) {
    std::string_view name;
    if (entry["id"].get(name)) continue;
    if (name.empty() || name.size() > kModelNameBytesMax || name.back() == '*') continue;
    names.emplace_back(name);
    if (names.size() == kModelsPerEndpointMax) break;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace sluice
