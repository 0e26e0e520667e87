#include "host/traces/mooncake.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>

#include "host/traces/limits.h"
#include "host/traces/lines.h"

namespace sluice::traces {
namespace {

static_assert(LineReader::kPadding >= simdjson::SIMDJSON_PADDING);

bool read_length(simdjson::dom::object row, const char* key, uint32_t& out) {
  uint64_t value = 0;
  if (row[key].get(value) || value > kTokensMax) return false;
  out = static_cast<uint32_t>(value);
  return true;
}

}  // namespace

struct MooncakeFormat::Parser {
  simdjson::dom::parser json;
};

MooncakeFormat::MooncakeFormat() : parser_(std::make_unique<Parser>()) {}
MooncakeFormat::~MooncakeFormat() = default;

Result<void> MooncakeFormat::read(std::string_view line, Row& row) {
  simdjson::dom::object object;
  if (parser_->json.parse(line.data(), line.size(), false).get(object)) {
    return Error{"expected one JSON object on each line"};
  }
  constexpr double kTraceMaxMs = static_cast<double>(kTraceMaxNs) / 1e6;
  double ms = 0;
  if (object["timestamp"].get(ms) || !(ms >= 0 && ms <= kTraceMaxMs)) {
    return Error{
        fmt::format("timestamp must be milliseconds from where the trace begins, 0 to "
                    "{:.0f}",
                    kTraceMaxMs)};
  }
  row.at_ns = std::llround(ms * 1e6);
  for (const auto& [key, length] : {std::pair{"input_length", &row.prompt_tokens},
                                    std::pair{"output_length", &row.output_tokens}}) {
    if (read_length(object, key, *length)) continue;
    return Error{fmt::format("{} must be there, a whole number up to {}", key, kTokensMax)};
  }
  row.block_ids.clear();
  simdjson::dom::element ids;
  if (object["hash_ids"].get(ids)) return {};
  simdjson::dom::array array;
  constexpr const char* kIdsWanted = "hash_ids must be an array of whole numbers from 0 up";
  if (ids.get(array)) return Error{kIdsWanted};
  for (const simdjson::dom::element element : array) {
    uint64_t id = 0;
    if (element.get(id)) return Error{kIdsWanted};
    row.block_ids.push_back(id);
  }
  return {};
}

}  // namespace sluice::traces
