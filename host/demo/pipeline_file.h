// The pipeline.toml that the demo gives to the host it starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::demo {

struct BandSpec {
  std::string name;  // also an objective
  int priority = 0;
};

struct PipelineSpec {
  uint16_t http_port = 0, admin_port = 0;
  bool gateway = false;  // it is Envoy's: http_port is that of the ext_proc server
  struct Server {
    uint16_t port = 0;
    std::string model;
  };
  std::vector<Server> servers;
  uint32_t slots = 8;     // of each server, where it is told
  uint64_t tokens = 0;    // in flight at each server, where it is told; 0 = no limit
  uint32_t gateways = 0;  // 0: it is told; else learnt, by so many
  std::vector<BandSpec> bands;
  std::string default_band = "default";
  std::string decisions;  // the decision log's file; empty = none
};

std::string pipeline_text(const PipelineSpec& spec);

}  // namespace sluice::demo
