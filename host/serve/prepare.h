// From a pipeline.toml to everything that a host runs with, before anything that runs is touched.
//
// The one path of `sluice check`, a start and a reload: what passes here is served. Threads:
// [control], or one thread that stands in for it; one call at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pipeline.h"
#include "host/config/config.h"
#include "host/exit_codes.h"
#include "host/ext_proc/settings.h"
#include "host/http/settings.h"
#include "host/pool/pool.h"

namespace sluice {

struct Prepared {
  config::Config config;
  Pipeline pipeline;
  PoolSettings pool;
  std::shared_ptr<const HttpSettings> http;
  std::shared_ptr<const ExtProcSettings> ext_proc;
};

struct Preparation {
  std::optional<Prepared> prepared;
  int exit_code = kExitConfig;  // if there is none
  std::string messages;         // errors and warnings, as people read them
};

// BOUND: the addresses that the host already listens on, which no endpoint may have; at a start
// those of the file itself count. SEED: of the choice among a model's targets.
Preparation prepare(const std::filesystem::path& file, uint64_t seed,
                    const std::vector<config::SocketAddress>& bound = {});

// The columns that policies declared, as requests and endpoints fill them; the hash of their texts
// with them.
void declare_columns(RoutingOptions& routing, PoolSettings& pool);

// The words for a pipeline that an engine would not take, though everything before was well.
std::string engine_refusal(const std::filesystem::path& file, const std::string& why);

// What CONFIG listens on.
std::vector<config::SocketAddress> listeners(const config::Config& config);

}  // namespace sluice
