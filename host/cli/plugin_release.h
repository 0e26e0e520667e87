// `sluice plugin release POLICY`: tells a running host to let a policy out of quarantine.
#pragma once

#include <string>

namespace sluice {

// POLICY as pipeline.toml names it; ADMIN is the host's [admin] address. An exit code.
int release_policy(const std::string& policy, const std::string& admin);

}  // namespace sluice
