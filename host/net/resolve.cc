#include "host/net/resolve.h"

namespace sluice {

std::vector<tcp::endpoint> resolve(const std::string& host, uint16_t port) {
  if (host == "localhost") {
    return {{asio::ip::address_v4::loopback(), port}, {asio::ip::address_v6::loopback(), port}};
  }
  ErrorCode error;
  const asio::ip::address literal = asio::ip::make_address(host, error);
  if (error) return {};
  return {{literal, port}};
}

}  // namespace sluice
