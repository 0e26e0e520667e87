// From an image in this process to a policy that has passed its self-check. The same steps run in a
// trial first, in a process of their own (probe.h), and then here.
//
// Threads: [control].
#pragma once

#include <span>
#include <string>

#include "core/policy.h"
#include "host/plugins/declared.h"
#include "host/plugins/info.h"
#include "host/plugins/services.h"

namespace sluice::plugins {

// The policy NAME of KIND in ENTRY, which is of PACKAGE, with VALUES in the order of its table of
// parameters. Null with REFUSAL filled in if it cannot be made.
PolicyPtr make_policy(const sluice_entry_v1& entry, const std::string& package, Kind kind,
                      const std::string& name, std::span<const Value> values,
                      HostServices& services, const ColumnRegistry& columns, Refusal& refusal);

}  // namespace sluice::plugins
