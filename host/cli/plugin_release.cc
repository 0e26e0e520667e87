#include "host/cli/plugin_release.h"

#include <fmt/format.h>

#include "host/config/values.h"
#include "host/demo/http_client.h"
#include "host/exit_codes.h"
#include "host/net/resolve.h"

namespace sluice {
namespace {

constexpr std::chrono::seconds kPatience{10};

demo::Exchange post(const tcp::endpoint& where, const std::string& request) {
  asio::io_context io(1);
  demo::Upstream host(io, where);
  demo::Exchange exchange;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        exchange.error = "it does not answer";
        exchange = co_await host.exchange(request);
      },
      asio::detached);
  io.run_for(kPatience);
  return exchange;
}

}  // namespace

int release_policy(const std::string& policy, const std::string& admin) {
  const std::string name = policy.find('/') == std::string::npos ? "sluice/" + policy : policy;
  Result<config::SocketAddress> address = config::parse_address(admin);
  if (!address || !config::is_plain_name(name)) {
    fmt::print(stderr, "sluice plugin release: {}\n",
               address ? "that cannot be the name of a policy" : "--admin: " + address.error());
    return kExitUsage;
  }
  const std::string request = fmt::format(
      "POST /policies/release?policy={} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n"
      "Connection: close\r\n\r\n",
      name, address->text);
  const demo::Exchange exchange = post(resolve(address->host, address->port).front(), request);
  if (exchange.status == 200) {
    fmt::print("{} is released\n", name);
    return kExitOk;
  }
  const std::string why = exchange.status == 0 ? admin + ": " + exchange.error
                          : exchange.status == 404
                              ? fmt::format("{} is not in quarantine", name)
                              : fmt::format("{} answered {}", admin, exchange.status);
  fmt::print(stderr, "sluice plugin release: {}\n", why);
  return kExitRuntime;
}

}  // namespace sluice
