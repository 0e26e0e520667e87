// What simulation tests have in common: a setup without files, and a trace that is a list.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/simulate/simulation.h"

namespace sluice::simulate {

inline constexpr TimeNs kMs = 1'000'000;
inline constexpr uint64_t kPsPerMs = 1'000'000'000;

// 10 ms a prefill and 1 ms a token of it; 10 ms a step; one request at a time.
inline ServerModel one_at_a_time() {
  ServerModel m;
  m.prefill_ps = {10 * kPsPerMs, kPsPerMs, 0};
  m.step_ps = {10 * kPsPerMs, 0, 0};
  m.kv_tokens = 10000;
  m.max_running = 1;
  m.max_prefill_tokens = 1000;
  return m;
}

// A pipeline of built-in policies, from TOML below the listener; policies that it names are ignored.
inline Setup setup_of(const std::string& toml, std::vector<ServerModel> servers) {
  config::Diagnostics diagnostics;
  std::string text = "schema = 1\n[listen.http]\naddress = \"127.0.0.1:1\"\n" + toml;
  if (toml.find("[[pool.endpoints]]") == toml.npos)
    text += "\n[[pool.endpoints]]\nname = \"s0\"\naddress = \"127.0.0.1:2\"\n";
  auto config = config::parse(text, "test.toml", diagnostics);
  EXPECT_TRUE(config) << diagnostics.render();
  Setup setup;
  setup.file = "test.toml";
  setup.config = std::move(*config);
  config::Trust trust{.from = {"any"}, .headers = {"x-llm-d-inference-objective"}};
  for (const config::FlowComponent& component : setup.config.flow_key)
    if (!component.header.empty()) trust.headers.push_back(component.header);
  setup.config.trust = {trust};
  for (const config::Band& band : setup.config.bands) setup.pipeline.bands.push_back(band.limits);
  setup.pipeline.default_band = setup.config.default_band;
  setup.pipeline.generation = 1;
  setup.routing = *Routing::create(setup.config, {.generation = 1});
  std::vector<config::Endpoint>& endpoints = setup.config.pool.endpoints;
  endpoints.resize(servers.size());
  for (size_t i = 0; i < servers.size(); ++i) {
    if (endpoints[i].name.empty()) endpoints[i].name = "s" + std::to_string(i);
    servers[i].name = endpoints[i].name;
  }
  setup.servers = std::move(servers);
  return setup;
}

struct Asks {
  double at_ms = 0;
  uint32_t prompt = 10, output = 1;
  std::string model = {}, band = {}, flow = {};
  std::vector<uint64_t> blocks = {};
};

class ListSource : public traces::Source {
 public:
  explicit ListSource(std::vector<Asks> asks) : asks_(std::move(asks)) {}
  TimeNs next_at() override { return next_ < asks_.size() ? at(asks_[next_]) : kNever; }
  const traces::Arrival& take() override {
    const Asks& ask = asks_[next_++];
    arrival_ = {};
    arrival_.at = at(ask);
    arrival_.model = ask.model;
    arrival_.band = ask.band;
    arrival_.flow = ask.flow;
    arrival_.prompt_tokens = ask.prompt;
    arrival_.output_tokens = ask.output;
    arrival_.blocks = ask.blocks;
    return arrival_;
  }

 private:
  static TimeNs at(const Asks& ask) { return static_cast<TimeNs>(ask.at_ms * kMs); }
  std::vector<Asks> asks_;
  size_t next_ = 0;
  traces::Arrival arrival_;
};

// FinishedRequest without views.
struct Finished {
  TimeNs arrival, dispatched, first_token, finished, regret;
  std::string flow, band, model, endpoint;
  Outcome outcome;
};

struct Ran {
  RunResult result;
  std::map<uint64_t, Finished> requests;  // by id, from 1
};

inline Ran run_list(const Setup& setup, std::vector<Asks> asks, RunOptions options = {}) {
  Ran ran;
  options.on_finished = [&](const FinishedRequest& f) {
    const Finished copy{f.arrival,
                        f.dispatched,
                        f.first_token,
                        f.finished,
                        f.regret,
                        std::string(f.flow),
                        std::string(f.band),
                        std::string(f.model),
                        std::string(f.endpoint),
                        f.outcome};
    EXPECT_TRUE(ran.requests.emplace(f.id, copy).second) << f.id << " ended twice";
  };
  ListSource source(std::move(asks));
  auto result = run(setup, source, options);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error());
  if (result.ok()) ran.result = std::move(*result);
  return ran;
}

}  // namespace sluice::simulate
