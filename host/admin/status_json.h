// A snapshot as the JSON of /status, for people and scripts.
//
// Threads: pure. Shows at most kFlowsInStatus flows, those with most parked. Fields may be added,
// none changes meaning.
#pragma once

#include <string>

#include "host/admin/snapshot.h"

namespace sluice {

inline constexpr size_t kFlowsInStatus = 100;

std::string status_json(const AdminSnapshot& snapshot);

}  // namespace sluice
