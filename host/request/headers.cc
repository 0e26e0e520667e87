#include "host/request/headers.h"

#include <algorithm>

namespace sluice {
namespace {

constexpr size_t kRequestIdMax = 128;  // bytes; a longer one is replaced
constexpr std::string_view kOwnInAnswers[] = {"x-llm-d-request-dropped-reason", "x-request-id"};
constexpr std::string_view kOwnPrefixes[] = {"x-sluice-", "x-gateway-destination-endpoint"};

}  // namespace

std::string_view given_request_id(Headers headers) {
  const std::string_view id = find_header(headers, "x-request-id").value_or("");
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  return plain && id.size() <= kRequestIdMax ? id : std::string_view();
}

bool is_own_in_answers(std::string_view name) {
  const auto among = [name](std::string_view own) { return equals_ignoring_case(name, own); };
  const auto begins = [name](std::string_view own) { return starts_with_ignoring_case(name, own); };
  return std::any_of(std::begin(kOwnInAnswers), std::end(kOwnInAnswers), among) ||
         std::any_of(std::begin(kOwnPrefixes), std::end(kOwnPrefixes), begins);
}

}  // namespace sluice
