// A snapshot as metric families: the engine's, the pool's and the host's own part of /metrics.
//
// Threads: pure. Cardinality: at most kFlowsExposed flows have series of their own, those with most
// parked and in flight; the rest of each band is summed as "(other)".
#pragma once

#include "host/admin/families.h"
#include "host/admin/snapshot.h"

namespace sluice {

inline constexpr size_t kFlowsExposed = 1000;

void write_metrics(const AdminSnapshot& snapshot, metrics::Families& out);

}  // namespace sluice
