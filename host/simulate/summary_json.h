// summary.json: every figure of every run but the series, for programs. docs/simulate.md is its
// schema.
//
// Keys are always there and in the same order; what a run cannot tell is null. Text from outside is
// made valid UTF-8.
// Threads: any. Units: seconds where a name ends in _s, tokens, shares of 1.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

nlohmann::ordered_json summary_json(const std::vector<RunResult>& runs);

}  // namespace sluice::simulate
