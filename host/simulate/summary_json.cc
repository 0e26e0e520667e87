#include "host/simulate/summary_json.h"

#include <fmt/format.h>

#include "host/config/text.h"
#include "host/simulate/figures.h"
#include "host/simulate/verdict.h"

namespace sluice::simulate {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

Json value_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json histogram_json(const Histogram& histogram) {
  return {{"count", histogram.count()},          {"mean_s", histogram.mean_s()},
          {"p50_s", histogram.quantile_s(0.5)},  {"p90_s", histogram.quantile_s(0.9)},
          {"p95_s", histogram.quantile_s(0.95)}, {"p99_s", histogram.quantile_s(0.99)},
          {"max_s", histogram.max_s()}};
}

Json group_json(const Group& group) {
  Json outcomes = Json::object();
  for (size_t i = 0; i < group.ended.size(); ++i) {
    outcomes[to_string(static_cast<Outcome>(i))] = group.ended[i];
  }
  return {{"name", config::printable(group.name)},
          {"requests", group.requests},
          {"ended", outcomes},
          {"prompt_tokens", group.prompt_tokens},
          {"output_tokens", group.output_tokens},
          {"cached_tokens", group.cached_tokens},
          {"service", group.service},
          {"slo_met", group.slo_met},
          {"slo_attainment", value_json(slo_attainment(group))},
          {"wait", histogram_json(group.wait)},
          {"ttft", histogram_json(group.ttft)},
          {"itl", histogram_json(group.itl)},
          {"e2e", histogram_json(group.e2e)},
          {"parked", histogram_json(group.parked)},
          {"regret", histogram_json(group.regret)}};
}

Json groups_json(const std::vector<Group>& groups) {
  Json out = Json::array();
  for (const Group& group : groups) out.push_back(group_json(group));
  return out;
}

Json server_json(const ServerResult& server) {
  return {{"name", config::printable(server.name)},
          {"requests", server.requests},
          {"prompt_tokens", server.prompt_tokens},
          {"output_tokens", server.output_tokens},
          {"cached_tokens", server.cached_tokens},
          {"preemptions", server.preemptions},
          {"busy_s", server.busy_s},
          {"mean_running", server.mean_running},
          {"mean_kv_used", server.mean_kv_used},
          {"most_waiting", server.most_waiting}};
}

Json fairness_json(const Fairness& fairness) {
  return {{"accumulated_gap", fairness.accumulated_gap},
          {"windowed_mean", fairness.windowed_mean},
          {"windowed_max", fairness.windowed_max},
          {"window_s", fairness.window_s},
          {"jain", fairness.jain},
          {"tenants", fairness.tenants}};
}

Json run_json(const RunResult& run) {
  Json json = {{"label", config::printable(run.label)},
               {"config", config::printable(run.config)},
               {"direct", run.direct},
               {"seed", run.seed},
               {"trace", config::printable(run.trace)},
               {"servers_file", config::printable(run.servers)},
               {"hash", fmt::format("{:016x}", run.hash)},
               {"simulated_s", run.simulated_s},
               {"cpu_s", run.cpu_s},
               {"window_from_s", run.window_from_s},
               {"window_to_s", run.window_to_s},
               {"slo_ttft_s", run.slo_ttft_s},
               {"slo_itl_s", run.slo_itl_s},
               {"tokens_per_s", run.tokens_per_s},
               {"output_tokens_per_s", run.output_tokens_per_s},
               {"requests_per_s", run.requests_per_s},
               {"offered_tokens_per_s", run.offered_tokens_per_s},
               {"offered_requests_per_s", run.offered_requests_per_s},
               {"idle_while_waiting_s", run.idle_while_waiting_s},
               {"slots_while_waiting_s", run.slots_while_waiting_s},
               {"hit_rate", run.hit_rate},
               {"pooled_hit_rate", run.pooled_hit_rate},
               {"ideal_hit_rate", run.ideal_hit_rate},
               {"fairness", fairness_json(run.fairness)},
               {"all", group_json(run.all)},
               {"bands", groups_json(run.bands)},
               {"tenants", groups_json(run.tenants)}};
  json["servers"] = Json::array();
  for (const ServerResult& server : run.servers_used) {
    json["servers"].push_back(server_json(server));
  }
  return json;
}

Json names_json(const std::vector<std::string>& names) {
  Json out = Json::array();
  for (const std::string& name : names) out.push_back(config::printable(name));
  return out;
}

Json compared_json(const std::vector<Figure>& figures, size_t run) {
  const Verdict found = verdict(figures, run);
  Json all = Json::object(), bands = Json::object();
  for (const Figure& figure : figures) {
    if (figure.key.empty()) continue;
    Json& where = figure.band.empty() ? all : bands[config::printable(figure.band)];
    where[figure.key] = value_json(ratio(figure, run));
  }
  return {{"verdict", to_string(found.word)},
          {"worse", names_json(found.keys_worse)},
          {"better", names_json(found.keys_better)},
          {"all", all},
          {"bands", bands}};
}

}  // namespace

Json summary_json(const std::vector<RunResult>& runs) {
  const std::vector<Figure> figures = figures_of(runs);
  Json json = {{"schema", kSchema}, {"runs", Json::array()}};
  for (size_t i = 0; i < runs.size(); ++i) {
    Json run = run_json(runs[i]);
    if (i > 0) run["compared_to_first"] = compared_json(figures, i);
    json["runs"].push_back(std::move(run));
  }
  return json;
}

}  // namespace sluice::simulate
