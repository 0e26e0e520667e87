#include "host/admin/host_check.h"

#include <algorithm>

namespace sluice {
namespace {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

}  // namespace

bool names_this_machine(std::string_view authority) {
  for (std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (!equals_ignoring_case(authority.substr(0, name.size()), name)) continue;
    std::string_view port = authority.substr(name.size());
    if (port.empty()) return true;
    if (port[0] != ':') continue;
    port.remove_prefix(1);
    return port.size() <= 5 &&
           std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

bool is_own_origin(std::string_view origin, std::string_view authority) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(origin.substr(0, scheme.size()), scheme)) continue;
    return equals_ignoring_case(origin.substr(scheme.size()), authority);
  }
  return false;
}

}  // namespace sluice
