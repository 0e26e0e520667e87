// Plugin descriptions as text for people and as JSON for programs; and back from JSON, for the
// probe. Threads: [any], pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "host/plugins/info.h"

namespace sluice::plugins {

// `sluice plugin list`: one line a policy, then the files that were refused and why.
std::string render_list(std::span<const PluginInfo> plugins);
// `sluice plugin inspect`: everything about one file, each policy with its table of parameters.
std::string render_plugin(const PluginInfo& plugin);

// One object for each file. Integers beyond 2^53 and unbounded floats are written as they are or as
// null.
std::string render_json(std::span<const PluginInfo> plugins);
std::string render_json(const PluginInfo& plugin);
// What render_json wrote for one file. False if TEXT is anything else; INFO is then of no use.
bool parse_json(std::string_view text, PluginInfo& info);

// VALUE as pipeline.toml would have it: "250ms", "64KiB", 0.5, true.
std::string render_value(const ParamInfo& param, const Value& value);
// "0 .. 100", "a, b or c", or "" where there are no bounds.
std::string render_bounds(const ParamInfo& param);
const char* type_name(uint32_t type);  // "duration"

}  // namespace sluice::plugins
