// Begins to listen at a configured address: the same for every server of the host.
//
// Threads: as the acceptor.
#pragma once

#include "host/net/resolve.h"

namespace sluice {

// Opens, binds and listens at HOST and PORT (0: any free one); "localhost" is its first address and
// no other, since a client that is told of a port must not meet another program there. On an error
// ACCEPTOR is closed.
template <typename Acceptor>
ErrorCode listen(Acceptor& acceptor, const std::string& host, uint16_t port) {
  const std::vector<tcp::endpoint> places = resolve(host, port);
  if (places.empty()) return asio::error::host_not_found;
  ErrorCode error;
  acceptor.open(places.front().protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(places.front(), error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  ErrorCode ignored;
  if (error) acceptor.close(ignored);
  return error;
}

}  // namespace sluice
