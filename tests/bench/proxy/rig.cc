#include "tests/bench/proxy/rig.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "host/demo/serving.h"
#include "tests/bench/proxy/fixed_server.h"

namespace sluice::bench {
namespace {

using std::chrono::seconds;

constexpr seconds kStartPatience{15};

template <typename T>
T must(Result<T> result) {
  if (!result) die(result.error());
  return std::move(*result);
}

std::filesystem::path make_directory() {
  std::string name = std::filesystem::temp_directory_path() / "sluice-proxy-bench.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) die("cannot make a temporary directory");
  return name;
}

std::string pipeline(uint16_t http, uint16_t admin, uint16_t server, const std::string& capacity) {
  std::string text = fmt::format(
      "schema = 1\n[listen.http]\naddress = \"127.0.0.1:{}\"\n[admin]\naddress = "
      "\"127.0.0.1:{}\"\n[limits]\nmax_requests = 0\n[pool.capacity]\n{}\n[log]\nlevel = "
      "\"error\"\n[drain]\ngrace = \"0s\"\ndeadline = \"1s\"\n",
      http, admin, capacity);
  for (int i = 0; i < kFixedServerAddresses; ++i)
    text += fmt::format("[[pool.endpoints]]\nname = \"server-{}\"\naddress = \"127.0.0.{}:{}\"\n",
                        i + 1, i + 1, server);
  text +=
      "[[band]]\nname = \"default\"\npriority = 0\nttl = \"10m\"\nmax_requests = 0\n"
      "ordering = { use = \"fcfs\" }\nfairness = { use = \"round-robin\" }\n"
      "[[scoring]]\nuse = \"queue-depth\"\nweight = 2.0\n"
      "[[scoring]]\nuse = \"kv-cache\"\nweight = 2.0\n"
      "[[scoring]]\nuse = \"prefix-cache\"\nweight = 3.0\n";
  return text;
}

}  // namespace

void die(const std::string& why) {
  std::fprintf(stderr, "sluice-proxy-bench: %s\n", why.c_str());
  std::exit(1);
}

Rig::Rig()
    : directory_(make_directory()),
      server_(must(demo::Child::start({"server"}, directory_ / "server.log", true))) {
  server_port_ = must(server_.wait_for_port(kStartPatience));
}

Rig::~Rig() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Rig::Proxy Rig::start_forwarder() {
  auto child = must(demo::Child::start({"forwarder", "--to", std::to_string(server_port_)},
                                       directory_ / "forwarder.log", true));
  const uint16_t port = must(child.wait_for_port(kStartPatience));
  return {std::move(child), port, 0};
}

Rig::Proxy Rig::start_sluice(const std::string& capacity) {
  const auto [http, admin] = demo::free_ports();
  const auto file = directory_ / "pipeline.toml";
  std::ofstream(file) << pipeline(http, admin, server_port_, capacity);
  auto child = must(demo::start_serving(file, admin, directory_ / "sluice.log", SLUICE_PROGRAM));
  return {std::move(child), http, admin};
}

}  // namespace sluice::bench
