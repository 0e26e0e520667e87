// What the program's exit codes mean; documented in docs/operations.md.
#pragma once

namespace sluice {

inline constexpr int kExitOk = 0;
inline constexpr int kExitRuntime = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfig = 3;  // pipeline.toml, an unknown policy in it included
inline constexpr int kExitPlugin = 4;  // a plugin file that it names was refused
inline constexpr int kExitBind = 5;    // an address could not be listened on

}  // namespace sluice
