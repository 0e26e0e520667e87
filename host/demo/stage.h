// The processes a scenario is played on: its model servers, which stay, and a host for each load
// that goes through it.
//
// Ownership: the children end with the stage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/demo/child.h"
#include "host/demo/display.h"
#include "host/demo/envoy.h"
#include "host/demo/scenario.h"

namespace sluice::demo {

class Stage {
 public:
  // DIRECTORY takes the children's files. Everything must outlive the stage.
  Stage(const Scenario& scenario, std::filesystem::path directory, EnvoyFiles envoy, uint64_t seed,
        Display& display)
      : scenario_(scenario),
        directory_(std::move(directory)),
        envoy_(std::move(envoy)),
        seed_(seed),
        display_(display) {}

  // All parts once, from 0 the RUNth time. An error says which child failed and shows the end of
  // its log.
  Result<std::vector<PartResult>> play(uint32_t run);
  bool interrupted() const { return interrupted_; }

 private:
  struct Host {
    Child child;
    std::optional<Child> envoy;       // before it
    uint16_t http_port = 0;           // where the load goes
    std::filesystem::path decisions;  // empty = none
  };

  Result<void> start_servers();
  Result<Host> start_host(const std::string& name, bool decision_log);
  Result<PartResult> play_part(const Part& part, const std::string& name);
  Result<LoadReport> load(const Part& part, std::vector<Target> targets, const std::string& what,
                          ServerWork& work);
  Result<void> set_servers(const std::string& settings);
  Result<ServerWork> count_work();  // since the servers' start, of all of them together
  Result<void> check_log(const Host& host, const std::string& name, PartResult& result);

  const Scenario& scenario_;
  const std::filesystem::path directory_;
  const EnvoyFiles envoy_;
  const uint64_t seed_;
  Display& display_;
  std::vector<Child> servers_;
  std::vector<uint16_t> server_ports_;
  bool interrupted_ = false;
};

}  // namespace sluice::demo
