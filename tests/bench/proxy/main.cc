// sluice-proxy-bench: what `sluice serve` costs as an HTTP proxy, beside the least that a proxy can
// cost. Nothing else should run on the machine.
//   cost     CPU of the proxy for each request, as fast as 64 clients go
//   latency  what it adds at a given rate of requests to idle servers
//   parked   its memory while requests are parked, and after they have gone

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/demo/stats.h"
#include "host/net/ask.h"
#include "tests/bench/proxy/bare_forwarder.h"
#include "tests/bench/proxy/clients.h"
#include "tests/bench/rig/fixed_server.h"
#include "tests/bench/rig/process.h"
#include "tests/bench/rig/rig.h"

namespace sluice::bench {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

struct Options {
  uint32_t body_bytes = 1024, clients = 64, requests = 20'000, runs = 5, parked = 10'000;
  double rate = 100, seconds = 20;
  std::string json;
};

// ---- cost ----

struct Cost {
  std::vector<double> us, per_second, p50_ms, p99_ms;
};

void measure(const Options& o, const Rig::Server& proxy, Cost& cost) {
  const double before = cpu_seconds(proxy.child.pid());
  const Timed timed = closed_loop(proxy.port, o.clients, o.requests, o.body_bytes);
  cost.us.push_back((cpu_seconds(proxy.child.pid()) - before) / o.requests * 1e6);
  cost.per_second.push_back(o.requests / timed.seconds);
  const demo::Summary latency = demo::summarise(timed.latency_ms);
  cost.p50_ms.push_back(latency.p50);
  cost.p99_ms.push_back(latency.p99);
}

nlohmann::json report(const char* name, const Cost& cost) {
  fmt::print("{:<16} {:>8.1f} us of CPU  {:>8.0f} requests/s  p50 {:>6.2f} ms  p99 {:>6.2f} ms\n",
             name, demo::median(cost.us), demo::median(cost.per_second), demo::median(cost.p50_ms),
             demo::median(cost.p99_ms));
  return {{"cpu_us", cost.us},
          {"per_second", cost.per_second},
          {"p50_ms", cost.p50_ms},
          {"p99_ms", cost.p99_ms}};
}

void run_cost(const Options& o) {
  Rig rig;
  const Rig::Server bare = rig.start_own({"forwarder", "--to", std::to_string(rig.server_port())}),
                    sluice = rig.start_sluice("http", "mode = \"auto\"");
  Cost bare_cost, sluice_cost, warm_up;
  for (const Rig::Server* proxy : {&bare, &sluice}) measure(o, *proxy, warm_up);
  for (uint32_t run = 0; run < o.runs; ++run) {
    measure(o, bare, bare_cost);
    measure(o, sluice, sluice_cost);
  }
  std::vector<double> ratios;
  for (uint32_t run = 0; run < o.runs; ++run)
    ratios.push_back(sluice_cost.us[run] / bare_cost.us[run]);
  fmt::print("{} requests of {} bytes from {} clients, {} runs in turn, medians\n", o.requests,
             o.body_bytes, o.clients, o.runs);
  nlohmann::json figures = {{"bare_forwarder", report("bare forwarder", bare_cost)},
                            {"sluice", report("sluice", sluice_cost)}};
  figures["ratio"] = demo::median(ratios);
  fmt::print("sluice / bare forwarder: {:.2f}\n", demo::median(ratios));
  write_json(o.json, figures);
}

// ---- latency ----

void run_latency(const Options& o) {
  Rig rig;
  const Rig::Server bare = rig.start_own({"forwarder", "--to", std::to_string(rig.server_port())}),
                    sluice = rig.start_sluice("http", "mode = \"auto\"");
  const auto count = static_cast<uint32_t>(o.rate * o.seconds);
  struct Way {
    const char* name;
    uint16_t port;
    std::vector<double> p50, p99;
  };
  std::vector<Way> ways = {{"straight", rig.server_port(), {}, {}},
                           {"bare forwarder", bare.port, {}, {}},
                           {"sluice", sluice.port, {}, {}}};
  for (const Way& way : ways) open_loop(way.port, o.rate, 200, o.body_bytes);
  for (uint32_t run = 0; run < o.runs; ++run) {
    for (Way& way : ways) {
      const auto timed = open_loop(way.port, o.rate, count, o.body_bytes);
      const demo::Summary latency = demo::summarise(timed.latency_ms);
      way.p50.push_back(latency.p50);
      way.p99.push_back(latency.p99);
    }
  }
  fmt::print("{} requests of {} bytes at {}/s, {} runs in turn, medians\n", count, o.body_bytes,
             o.rate, o.runs);
  nlohmann::json figures;
  for (const Way& way : ways) {
    fmt::print("{:<16} p50 {:>6.3f} ms  p99 {:>6.3f} ms\n", way.name, demo::median(way.p50),
               demo::median(way.p99));
    figures[way.name] = {{"p50_ms", way.p50}, {"p99_ms", way.p99}};
  }
  fmt::print("sluice adds {:.3f} ms at p50, {:.3f} ms at p99\n",
             demo::median(ways[2].p50) - demo::median(ways[0].p50),
             demo::median(ways[2].p99) - demo::median(ways[0].p99));
  write_json(o.json, figures);
}

// ---- parked ----

void run_parked(const Options& o) {
  const rlimit files{o.parked + 200, o.parked + 200};
  rlimit now{};
  getrlimit(RLIMIT_NOFILE, &now);
  if (now.rlim_cur < files.rlim_cur && setrlimit(RLIMIT_NOFILE, &files) != 0)
    die(fmt::format("{} open files are not allowed here", files.rlim_cur));
  Rig rig;
  const Rig::Server sluice = rig.start_sluice("http", "mode = \"fixed\"\nmax_in_flight = 4");
  const pid_t pid = sluice.child.pid();
  closed_loop(sluice.port, o.clients, 2000, o.body_bytes);  // idle is what has worked before
  ask(rig.server_port(), http::verb::post, "/hold");
  std::this_thread::sleep_for(seconds(5));
  const size_t idle = resident_bytes(pid);
  size_t parked = 0;
  std::thread watcher([&] {
    while (parked_requests(sluice.admin_port) < o.parked - 16)
      std::this_thread::sleep_for(milliseconds(50));
    std::this_thread::sleep_for(seconds(1));
    parked = resident_bytes(pid);
    ask(rig.server_port(), http::verb::post, "/release");
  });
  const Timed timed = closed_loop(sluice.port, o.parked, o.parked, o.body_bytes);
  watcher.join();
  std::this_thread::sleep_for(seconds(5));
  const size_t after = resident_bytes(pid);
  const double each = static_cast<double>(parked - idle) / o.parked;
  fmt::print("{} requests of {} bytes parked: {:.0f} bytes each, of which {:.0f} beyond the body\n",
             o.parked, o.body_bytes, each, each - o.body_bytes);
  print_resident(idle, parked, after);
  write_json(o.json, {{"idle_bytes", idle},
                      {"parked_bytes", parked},
                      {"after_bytes", after},
                      {"bytes_each", each},
                      {"seconds", timed.seconds}});
}

int run(int argc, char** argv) {
  CLI::App app("What sluice serve costs as an HTTP proxy");
  app.require_subcommand(1);
  Options options;
  int code = 0;
  const auto measurement = [&](const char* name, const char* what, auto action) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--body", options.body_bytes, "Bytes of a request's body")
        ->check(CLI::Range(128, 512 << 10))
        ->capture_default_str();
    command->add_option("--json", options.json, "Write all figures to this file");
    command->callback([action, &options] { action(options); });
    return command;
  };
  const auto runs = [&](CLI::App* command) {
    command->add_option("--runs", options.runs, "How often; the figures are medians")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
  };
  CLI::App* cost = measurement("cost", "CPU of the proxy for each request", run_cost);
  runs(cost);
  cost->add_option("--clients", options.clients, "Requests under way")->capture_default_str();
  cost->add_option("--requests", options.requests, "In each run")->capture_default_str();
  CLI::App* latency = measurement("latency", "What it adds when servers are idle", run_latency);
  runs(latency);
  latency->add_option("--rate", options.rate, "Requests a second")->capture_default_str();
  latency->add_option("--seconds", options.seconds, "Of each run")->capture_default_str();
  measurement("parked", "Memory of parked requests", run_parked)
      ->add_option("--parked", options.parked, "How many")
      ->check(CLI::Range(100, 20'000))
      ->capture_default_str();

  app.add_subcommand("server")->group("")->callback([&] { code = run_fixed_server(); });
  uint16_t to = 0;
  CLI::App* forwarder = app.add_subcommand("forwarder")->group("");
  forwarder->add_option("--to", to)->required();
  forwarder->callback([&] { code = run_bare_forwarder(to); });
  CLI11_PARSE(app, argc, argv);
  return code;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) { return sluice::bench::run(argc, argv); }
