// A pipeline.toml and a servers.toml made ready to be simulated.
//
// The policies are the very .so files that `sluice serve` would load, found and checked the same
// way. The servers take the places of the pool's endpoints, in order; where there are as many, each
// keeps its endpoint's name, models, labels and limit.
// Threads: [control].
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pipeline.h"
#include "host/config/config.h"
#include "host/exit_codes.h"
#include "host/pool/model_classes.h"
#include "host/pool/pool.h"
#include "host/request/routing.h"
#include "host/simulate/servers.h"

namespace sluice::simulate {

struct Setup {
  std::string file;
  config::Config config;
  Pipeline pipeline;
  PoolSettings pool;                       // its endpoints are the servers
  std::shared_ptr<const Routing> routing;  // believes every header
  std::vector<ServerModel> servers;
};

struct SetupResult {
  std::optional<Setup> setup;
  int exit_code = kExitConfig;  // if there is none
  std::string messages;         // errors and warnings, as people read them
};

SetupResult set_up(const std::filesystem::path& file, std::vector<ServerModel> servers,
                   uint64_t seed);

}  // namespace sluice::simulate
