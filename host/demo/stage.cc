#include "host/demo/stage.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <tuple>

#include "host/demo/serving.h"
#include "host/net/ask.h"
#include "host/pool/prometheus_text.h"

namespace sluice::demo {
namespace {

using std::chrono::seconds;

constexpr seconds kStartPatience{15};
constexpr seconds kCheckPatience{120};

std::chrono::nanoseconds ns(double s) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(s));
}

}  // namespace

Result<std::vector<PartResult>> Stage::play(uint32_t run) {
  if (servers_.empty()) {
    if (auto started = start_servers(); !started) return Error{started.error()};
  }
  std::vector<PartResult> results;
  for (size_t p = 0; p < scenario_.parts.size() && !interrupted_; ++p) {
    const Part& part = scenario_.parts[p];
    if (scenario_.runs > 1) display_.line(fmt::format("run {} of {}", run + 1, scenario_.runs));
    if (!part.title.empty()) display_.line(part.title);
    auto result = play_part(part, fmt::format("run{}-part{}", run + 1, p + 1));
    if (!result) return Error{result.error()};
    results.push_back(std::move(*result));
  }
  return results;
}

Result<void> Stage::start_servers() {
  const auto& models = scenario_.server_models;
  for (size_t i = 0; i < models.size(); ++i) {
    auto child = Child::start(
        {"sim-server", "--port", "0", "--model", models[i], "--name",
         fmt::format("server-{}", i + 1), "--max-num-seqs", std::to_string(scenario_.slots),
         "--kv-tokens", std::to_string(scenario_.kv_tokens), "--time-to-first-token",
         fmt::format("{}ms", kFirstTokenMs), "--inter-token-latency",
         fmt::format("{}ms", kInterTokenMs)},
        directory_ / fmt::format("server-{}.log", i + 1), true);
    if (!child) return Error{child.error()};
    servers_.push_back(std::move(*child));
  }
  for (Child& server : servers_) {
    const auto port = server.wait_for_port(kStartPatience);
    if (!port) return Error{port.error()};
    server_ports_.push_back(port.value());
  }
  return {};
}

Result<Stage::Host> Stage::start_host(const std::string& name, bool decision_log) {
  PipelineSpec spec;
  std::tie(spec.http_port, spec.admin_port) = free_ports();
  if (spec.http_port == 0 || spec.admin_port == 0) return Error{"no port is free"};
  for (size_t i = 0; i < server_ports_.size(); ++i) {
    spec.servers.push_back({server_ports_[i], scenario_.server_models[i]});
  }
  spec.slots = scenario_.slots;
  spec.tokens = scenario_.tokens_in_flight;
  spec.gateways = scenario_.gateways;
  spec.gateway = scenario_.envoy;
  spec.bands = scenario_.bands;
  std::filesystem::path decisions;
  if (decision_log) decisions = directory_ / (name + ".decisions");
  spec.decisions = decisions.string();
  const auto file = directory_ / (name + ".toml");
  std::ofstream out(file);
  out << pipeline_text(spec);
  out.close();
  if (!out) return Error{"cannot write " + file.string()};

  auto child = start_serving(file, spec.admin_port, directory_ / (name + ".log"));
  if (!child) return Error{child.error()};
  Host host{std::move(*child), std::nullopt, spec.http_port, decisions};
  if (!scenario_.envoy) return host;
  auto envoy = start_envoy(envoy_, spec.http_port, directory_ / (name + ".envoy"));
  if (!envoy) return Error{envoy.error()};
  host.envoy = std::move(envoy->child);
  host.http_port = envoy->port;
  return host;
}

Result<PartResult> Stage::play_part(const Part& part, const std::string& name) {
  PartResult result;
  std::vector<Host> hosts;
  std::vector<Target> proxies;
  for (uint32_t g = 0; g < std::max(scenario_.gateways, 1u); ++g) {
    auto host =
        start_host(g == 0 ? name : fmt::format("{}-gateway{}", name, g + 1), part.decision_log);
    if (!host) return Error{host.error()};
    proxies.emplace_back().port = host->http_port;
    hosts.push_back(std::move(*host));
  }
  auto loaded = load(part, std::move(proxies), "through Sluice", result.sluice_work);
  if (!loaded) return Error{loaded.error()};
  result.sluice = std::move(*loaded);
  for (Host& host : hosts) {
    if (host.envoy) host.envoy->stop();
    if (const auto code = host.child.exit_code())
      return Error{fmt::format("the host ended during the load, exit code {}\n{}", *code,
                               tail(host.child.log()))};
    if (const int code = host.child.stop(); code != 0)
      return Error{
          fmt::format("the host stopped with exit code {}\n{}", code, tail(host.child.log()))};
  }
  if (part.decision_log && !interrupted_) {
    if (auto checked = check_log(hosts.front(), name, result); !checked)
      return Error{checked.error()};
  }
  if (part.direct && !interrupted_) {
    std::vector<Target> targets;
    for (size_t i = 0; i < server_ports_.size(); ++i) {
      Target target;
      target.port = server_ports_[i];
      target.model = scenario_.server_models[i];
      targets.push_back(std::move(target));
    }
    Part straight = part;
    for (Group& group : straight.groups) group.target.reset();
    loaded = load(straight, std::move(targets), "straight to the servers", result.direct_work);
    if (!loaded) return Error{loaded.error()};
    result.direct = std::move(*loaded);
  }
  return result;
}

Result<LoadReport> Stage::load(const Part& part, std::vector<Target> targets,
                               const std::string& what, ServerWork& work) {
  LoadPlan plan;
  plan.groups = part.groups;
  plan.arrivals = part.arrivals;
  plan.targets = std::move(targets);
  plan.warmup = ns(scenario_.warmup_s);
  plan.duration = ns(scenario_.duration_s);
  plan.drain = seconds(60);
  plan.seed = seed_;
  const auto before = count_work();
  if (!before) return Error{before.error()};
  if (auto set = set_servers(part.server_settings); !set) return Error{set.error()};
  bool warm = false;
  Result<void> settings;
  LoadReport report = run_load(plan, [&](const LoadProgress& progress) {
    display_.progress(what, progress);
    if (warm || progress.seconds < scenario_.warmup_s) return;
    warm = true;
    settings = set_servers(part.settings_once_warm);
  });
  display_.clear();
  interrupted_ = interrupted_ || report.interrupted;
  if (!settings) return Error{settings.error()};
  if (auto set = set_servers(R"({"metrics":true,"metrics_delay_ms":0})"); !set)
    return Error{set.error()};
  const auto after = count_work();
  if (!after) return Error{after.error()};
  work.waiting = (after.value().waiting - before.value().waiting) /
                 static_cast<double>(servers_.size()) / scenario_.duration_s;
  work.preemptions = after.value().preemptions - before.value().preemptions;
  return report;
}

Result<void> Stage::set_servers(const std::string& settings) {
  for (const uint16_t port : server_ports_) {
    const auto answer = ask(port, http::verb::post, "/admin/config", settings);
    if (answer.result_int() != 200)
      return Error{fmt::format("the server at {} does not take {}: {} {}", port, settings,
                               answer.result_int(), answer.body())};
  }
  return {};
}

Result<ServerWork> Stage::count_work() {
  ServerWork work;
  for (const uint16_t port : server_ports_) {
    const auto answer = ask(port, http::verb::get, "/metrics");
    if (answer.result_int() != 200)
      return Error{fmt::format("the server at {} has no metrics: {}", port, answer.result_int())};
    PrometheusText page(answer.body());
    for (MetricSample sample; page.next(sample);) {
      if (sample.name == "sluice_sim_waiting_seconds_total") work.waiting += sample.value;
      if (sample.name == "vllm:num_preemptions_total") work.preemptions += sample.value;
    }
  }
  return work;
}

Result<void> Stage::check_log(const Host& host, const std::string& name, PartResult& result) {
  const auto log = directory_ / (name + ".check");
  auto check = Child::start({"log", "check", host.decisions.string()}, log);
  if (!check) return Error{check.error()};
  result.log_check = check->wait(kCheckPatience);
  if (!result.log_check) return Error{"checking the decision log takes too long"};
  std::ifstream in(log);
  result.log_check_text.assign(std::istreambuf_iterator<char>(in), {});
  display_.line("sluice log check:\n" + tail(log, 20));
  return {};
}

}  // namespace sluice::demo
