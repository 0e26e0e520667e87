#include "tests/bench/rig/rig.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "host/demo/serving.h"
#include "host/net/ask.h"
#include "host/pool/prometheus_text.h"
#include "tests/bench/rig/fixed_server.h"

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
  std::string name = std::filesystem::temp_directory_path() / "sluice-bench.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) die("cannot make a temporary directory");
  return name;
}

std::string pipeline(const std::string& listener, uint16_t port, uint16_t admin, uint16_t server,
                     const std::string& capacity) {
  std::string text = fmt::format(
      "schema = 1\n[listen.{}]\naddress = \"127.0.0.1:{}\"\n[admin]\naddress = "
      "\"127.0.0.1:{}\"\n[limits]\nmax_requests = 0\n[pool.capacity]\n{}\n[log]\nlevel = "
      "\"error\"\n[drain]\ngrace = \"0s\"\ndeadline = \"1s\"\n",
      listener, port, admin, capacity);
  for (int i = 1; i <= kFixedServerAddresses; ++i)
    text += fmt::format("[[pool.endpoints]]\nname = \"server-{}\"\naddress = \"127.0.0.{}:{}\"\n",
                        i, i, server);
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
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, why.c_str());
  std::fflush(nullptr);
  std::_Exit(1);
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

Rig::Server Rig::start_own(const std::vector<std::string>& arguments) {
  auto child = must(demo::Child::start(arguments, directory_ / (arguments.front() + ".log"), true));
  const uint16_t port = must(child.wait_for_port(kStartPatience));
  return {std::move(child), port, 0};
}

Rig::Server Rig::start_sluice(const std::string& listener, const std::string& capacity) {
  const auto [port, admin] = demo::free_ports();
  const auto file = directory_ / "pipeline.toml";
  std::ofstream(file) << pipeline(listener, port, admin, server_port_, capacity);
  auto child = must(demo::start_serving(file, admin, directory_ / "sluice.log", SLUICE_PROGRAM));
  return {std::move(child), port, admin};
}

double parked_requests(uint16_t admin_port) {
  const auto answer = ask(admin_port, http::verb::get, "/metrics");
  PrometheusText page(answer.body());
  double sum = 0;
  for (MetricSample sample; page.next(sample);)
    if (sample.name == "sluice_parked_requests") sum += sample.value;
  return sum;
}

void write_json(const std::string& file, const nlohmann::json& figures) {
  if (file.empty()) return;
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (out == nullptr) die("cannot write " + file);
  fmt::print(out, "{}\n", figures.dump(2));
  std::fclose(out);
}

}  // namespace sluice::bench
