// From a checked configuration to an engine's pipeline: loads every policy that it names.
//
// Threads: [control]. What is wrong goes to DIAGNOSTICS at its place in pipeline.toml.
#pragma once

#include <optional>

#include "core/pipeline.h"
#include "host/config/config.h"
#include "host/config/diagnostics.h"
#include "host/plugins/loader.h"

namespace sluice {

inline constexpr uint32_t kPrefixBlockTokens = 64;

struct BuiltPipeline {
  std::optional<Pipeline> pipeline;                               // nothing if STATUS is not kOk
  plugins::Loader::Status status = plugins::Loader::Status::kOk;  // the worst of all policies'
};

// Every policy is looked up, so that all errors are reported at once; CONFIG may be partial, with
// its errors in DIAGNOSTICS. Only if there are none is anything loaded.
BuiltPipeline build_pipeline(const config::Config& config, config::Diagnostics& diagnostics);

}  // namespace sluice
