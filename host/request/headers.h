// A request's headers as every transport hands them over: views of names and values, in order of
// arrival.
//
// Names compare without case. Where a name comes twice the last one counts: a proxy in front
// appends what it vouches for.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "host/request/text.h"

namespace sluice {

struct Header {
  std::string_view name, value;
};
using Headers = std::span<const Header>;

inline std::optional<std::string_view> find_header(Headers headers, std::string_view name) {
  for (size_t i = headers.size(); i-- > 0;) {
    if (equals_ignoring_case(headers[i].name, name)) return headers[i].value;
  }
  return std::nullopt;
}

// The client's x-request-id if it is fit to be passed on, else "".
std::string_view given_request_id(Headers headers);

// Whether an answer's header is Sluice's own to set, or what gateways take as word on where a
// request went: a model server does not say it.
bool is_own_in_answers(std::string_view name);

}  // namespace sluice
