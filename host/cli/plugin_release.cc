#include "host/cli/plugin_release.h"

#include <fmt/format.h>

#include "host/config/values.h"
#include "host/exit_codes.h"
#include "host/net/ask.h"
#include "host/net/resolve.h"

namespace sluice {
int release_policy(const std::string& policy, const std::string& admin) {
  const std::string name = policy.find('/') == std::string::npos ? "sluice/" + policy : policy;
  Result<config::SocketAddress> address = config::parse_address(admin);
  if (!address || !config::is_plain_name(name)) {
    fmt::print(stderr, "sluice plugin release: {}\n",
               address ? "that cannot be the name of a policy" : "--admin: " + address.error());
    return kExitUsage;
  }
  const unsigned status = ask(resolve(address->host, address->port).front(), address->text,
                              http::verb::post, "/policies/release?policy=" + name)
                              .result_int();
  if (status == 200) {
    fmt::print("{} is released\n", name);
    return kExitOk;
  }
  const std::string why = status == 0     ? admin + ": nobody answers"
                          : status == 404 ? fmt::format("{} is not in quarantine", name)
                                          : fmt::format("{} answered {}", admin, status);
  fmt::print(stderr, "sluice plugin release: {}\n", why);
  return kExitRuntime;
}

}  // namespace sluice
