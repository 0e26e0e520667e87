#include "host/admin/host_check.h"

#include <algorithm>

#include "host/net/asio.h"

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
  // The port begins at the last colon that no bracket follows.
  const size_t colon = authority.rfind(':');
  std::string_view host = authority;
  if (colon != authority.npos && authority.find(']', colon) == authority.npos) {
    host = authority.substr(0, colon);
    const std::string_view port = authority.substr(colon + 1);
    if (port.size() > 5 ||
        !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return false;
  }
  if (equals_ignoring_case(host, "localhost")) return true;
  const bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  ErrorCode error;
  const auto address = asio::ip::make_address(v6 ? host.substr(1, host.size() - 2) : host, error);
  return !error && address.is_v6() == v6 && address.is_loopback();
}

bool is_own_origin(std::string_view origin, std::string_view authority) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(origin.substr(0, scheme.size()), scheme)) continue;
    return equals_ignoring_case(origin.substr(scheme.size()), authority);
  }
  return false;
}

}  // namespace sluice
