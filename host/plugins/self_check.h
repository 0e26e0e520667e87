// The first thing that a policy is asked: one decision about a tiny made-up pool, whose answer is
// known to be legal or not. Catches the plugin that cannot work at all before any request depends
// on it.
//
// Makes a state, tells it of three flows, asks the main question once, tells what followed, frees
// the state. Threads: [control]. Units: as the ABI.
#pragma once

#include <optional>
#include <string>

#include "core/policy.h"
#include "host/plugins/declared.h"
#include "host/plugins/info.h"

namespace sluice::plugins {

// What POLICY, which is of KIND, did wrong, or nothing. COLUMNS: those that it may have declared.
std::optional<std::string> self_check(const Policy& policy, Kind kind,
                                      const DeclaredColumns& columns);

}  // namespace sluice::plugins
