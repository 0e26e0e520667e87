// sluice-epp-bench: what `sluice serve` costs as an ext_proc server, beside the least that one can
// cost. Nothing else should run on the machine.
//   cost     CPU of the server for each request, as fast as 64 streams go
//   latency  how long a pick takes at a given rate of requests, while it has nothing else to do
//   parked   its memory while requests are parked, and after they have gone

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "host/demo/stats.h"
#include "tests/bench/epp/bare_picker.h"
#include "tests/bench/epp/gateway.h"
#include "tests/bench/rig/fixed_server.h"
#include "tests/bench/rig/process.h"
#include "tests/bench/rig/rig.h"

namespace sluice::bench {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

constexpr uint32_t kConnections = 4;         // as an Envoy with as many workers has
constexpr uint32_t kParkedEach = 250;        // parked streams of one connection
constexpr uint32_t kParkedConnections = 10;  // at least
constexpr seconds kParkPatience{60};
constexpr uint32_t kWarmUp = 2000;
// More than ever come.
constexpr const char* kRoom = "mode = \"fixed\"\nmax_in_flight = 100000";

struct Options {
  // In turn for cost; the others take the first.
  std::vector<uint32_t> body_bytes = {1 << 10, 16 << 10, 128 << 10, 512 << 10};
  uint32_t clients = 64, requests = 20'000, parked = 5000;
  uint32_t cost_runs = 5, latency_runs = 3;
  double rate = 1000, seconds = 20;
  std::string json;
};

// P50, P99 and P99.9 of each run.
struct Percentiles {
  std::vector<double> p50, p99, p999;

  void add(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    p50.push_back(demo::percentile(values, 50));
    p99.push_back(demo::percentile(values, 99));
    p999.push_back(demo::percentile(values, 99.9));
  }
  nlohmann::json json() const { return {{"p50_ms", p50}, {"p99_ms", p99}, {"p999_ms", p999}}; }
};

// ---- cost ----

struct Cost {
  std::vector<double> us, client_us, per_second;
  Percentiles pick, whole;
};

void measure(const Options& o, pid_t server, Gateway& gateway, Cost& cost) {
  const double before = cpu_seconds(server), own_before = cpu_seconds(getpid());
  const Timed timed = gateway.closed_loop(o.clients, o.requests);
  cost.us.push_back((cpu_seconds(server) - before) / o.requests * 1e6);
  cost.client_us.push_back((cpu_seconds(getpid()) - own_before) / o.requests * 1e6);
  cost.per_second.push_back(o.requests / timed.seconds);
  cost.pick.add(timed.pick_ms);
  cost.whole.add(timed.whole_ms);
}

nlohmann::json report(const char* name, const Cost& cost) {
  using demo::median;
  fmt::print(
      "  {:<7}{:>8.1f} us of CPU  {:>6.0f} requests/s  pick p50 {:>7.2f} ms  p99 {:>7.2f} ms  "
      "whole p50 {:>7.2f} ms  p99 {:>7.2f} ms  (gateway {:.0f} us)\n",
      name, median(cost.us), median(cost.per_second), median(cost.pick.p50), median(cost.pick.p99),
      median(cost.whole.p50), median(cost.whole.p99), median(cost.client_us));
  return {{"cpu_us", cost.us},
          {"per_second", cost.per_second},
          {"pick", cost.pick.json()},
          {"whole", cost.whole.json()},
          {"gateway_cpu_us", cost.client_us}};
}

void run_cost(const Options& o) {
  Rig rig;
  const Rig::Server bare = rig.start_own({"bare"}), sluice = rig.start_sluice("ext_proc", kRoom);
  fmt::print("{} requests from {} streams at once, {} runs in turn, medians\n", o.requests,
             o.clients, o.cost_runs);
  nlohmann::json figures;
  for (const uint32_t body : o.body_bytes) {
    Gateway to_bare(bare.port, kConnections, body), to_sluice(sluice.port, kConnections, body);
    for (Gateway* gateway : {&to_bare, &to_sluice})
      gateway->closed_loop(o.clients, std::min(o.requests, kWarmUp));
    Cost bare_cost, sluice_cost;
    for (uint32_t run = 0; run < o.cost_runs; ++run) {
      measure(o, bare.child.pid(), to_bare, bare_cost);
      measure(o, sluice.child.pid(), to_sluice, sluice_cost);
    }
    const double ours = demo::median(sluice_cost.us), theirs = demo::median(bare_cost.us);
    fmt::print("{} bytes: sluice {:.1f} us, bare {:.1f} us, ratio {:.2f}\n", body, ours, theirs,
               ours / theirs);
    figures.push_back({{"body_bytes", body},
                       {"bare", report("bare", bare_cost)},
                       {"sluice", report("sluice", sluice_cost)},
                       {"ratio", ours / theirs}});
    std::fflush(stdout);
  }
  write_json(o.json, figures);
}

// ---- latency ----

void run_latency(const Options& o) {
  Rig rig;
  const Rig::Server bare = rig.start_own({"bare"}), sluice = rig.start_sluice("ext_proc", kRoom);
  const auto count = static_cast<uint32_t>(std::max(1.0, o.rate * o.seconds));
  const uint32_t body = o.body_bytes.front();
  struct Way {
    const char* name;
    Gateway gateway;
    std::vector<double> per_second;
    Percentiles pick, whole;
  };
  Way ways[] = {{"bare", {bare.port, kConnections, body}, {}, {}, {}},
                {"sluice", {sluice.port, kConnections, body}, {}, {}, {}}};
  for (Way& way : ways) way.gateway.open_loop(o.rate, std::min(count, kWarmUp));
  for (uint32_t run = 0; run < o.latency_runs; ++run) {
    for (Way& way : ways) {
      const Timed timed = way.gateway.open_loop(o.rate, count);
      way.per_second.push_back(count / timed.seconds);
      way.pick.add(timed.pick_ms);
      way.whole.add(timed.whole_ms);
    }
  }
  fmt::print("{} requests of {} bytes at {}/s, {} runs in turn, medians\n", count, body, o.rate,
             o.latency_runs);
  nlohmann::json figures;
  for (const Way& way : ways) {
    fmt::print("  {:<7}pick p50 {:.3f} ms  p99 {:.3f} ms  p99.9 {:.3f} ms  ({:.0f}/s)\n", way.name,
               demo::median(way.pick.p50), demo::median(way.pick.p99), demo::median(way.pick.p999),
               demo::median(way.per_second));
    figures[way.name] = {
        {"pick", way.pick.json()}, {"whole", way.whole.json()}, {"per_second", way.per_second}};
  }
  write_json(o.json, figures);
}

// ---- parked ----

// Keeps the streams of GATEWAY going until CONDITION holds.
template <typename Condition>
void run_until(Gateway& gateway, const char* what, Condition condition) {
  const auto deadline = Gateway::Clock::now() + kParkPatience;
  while (!condition()) {
    if (Gateway::Clock::now() > deadline)
      die(fmt::format("{} after {} s", what, kParkPatience.count()));
    gateway.run_for(milliseconds(50));
  }
}

void run_parked(const Options& o) {
  constexpr size_t kHeld = kFixedServerAddresses;  // one an endpoint: nothing else has room then
  Rig rig;
  const Rig::Server sluice = rig.start_sluice("ext_proc", "mode = \"fixed\"\nmax_in_flight = 1");
  const pid_t pid = sluice.child.pid();
  const uint32_t body = o.body_bytes.front();
  const uint32_t connections =
      std::max(kParkedConnections, (o.parked + kParkedEach - 1) / kParkedEach);
  Gateway gateway(sluice.port, connections, body);
  gateway.closed_loop(o.clients, kWarmUp);  // idle is what has worked before
  std::this_thread::sleep_for(seconds(5));
  const size_t idle = resident_bytes(pid);

  gateway.hold();
  gateway.begin(kHeld);
  run_until(gateway, "the endpoints are not full", [&] { return gateway.held() == kHeld; });
  gateway.begin(o.parked);
  run_until(gateway, "not all requests are parked",
            [&] { return parked_requests(sluice.admin_port) == o.parked; });
  gateway.run_for(seconds(1));
  const size_t parked = resident_bytes(pid);
  gateway.release();
  const size_t answered = gateway.finish().whole_ms.size() - kHeld;
  std::this_thread::sleep_for(seconds(5));
  const size_t after = resident_bytes(pid);

  const double each = (static_cast<double>(parked) - static_cast<double>(idle)) / o.parked;
  fmt::print("{} requests of {} bytes parked on {} connections: {:.0f} bytes each; {} answered\n",
             o.parked, body, connections, each, answered);
  print_resident(idle, parked, after);
  write_json(o.json, {{"idle_bytes", idle},
                      {"parked_bytes", parked},
                      {"after_bytes", after},
                      {"bytes_each", each},
                      {"answered", answered}});
}

int run(int argc, char** argv) {
  CLI::App app("What sluice serve costs as an ext_proc server");
  app.require_subcommand(1);
  Options options;
  uint32_t body_bytes = 0;
  int code = 0;
  const auto measurement = [&](const char* name, const char* what, auto action) {
    CLI::App* command = app.add_subcommand(name, what);
    command
        ->add_option("--body", body_bytes,
                     "Bytes of a request's body; 1 KiB if not given, and for cost 16, 128, 512 too")
        ->check(CLI::Range(128, 16 << 20));
    command->add_option("--json", options.json, "Write all figures to this file");
    command->callback([&, action] {
      if (body_bytes != 0) options.body_bytes = {body_bytes};
      action(options);
    });
    return command;
  };
  const auto runs = [](CLI::App* command, uint32_t& how_often) {
    command->add_option("--runs", how_often, "How often; the figures are medians")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
  };
  CLI::App* cost = measurement("cost", "CPU of the server for each request", run_cost);
  runs(cost, options.cost_runs);
  cost->add_option("--clients", options.clients, "Streams under way")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  cost->add_option("--requests", options.requests, "In each run")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  CLI::App* latency = measurement("latency", "How long a pick takes", run_latency);
  runs(latency, options.latency_runs);
  latency->add_option("--rate", options.rate, "Requests a second")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  latency->add_option("--seconds", options.seconds, "Of each run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  measurement("parked", "Memory of parked requests", run_parked)
      ->add_option("--parked", options.parked, "How many")
      ->check(CLI::Range(100, 20'000))
      ->capture_default_str();

  app.add_subcommand("server")->group("")->callback([&] { code = run_fixed_server(); });
  app.add_subcommand("bare")->group("")->callback([&] { code = run_bare_picker(); });
  CLI11_PARSE(app, argc, argv);
  return code;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) { return sluice::bench::run(argc, argv); }
