// Envoy as a child process, with the bootstrap that is shipped.
//
// Threads and ownership: as Child.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "host/demo/child.h"

namespace sluice::demo {

struct EnvoyFiles {
  std::string program;              // looked for in PATH if it has no '/'
  std::filesystem::path bootstrap;  // conf/envoy.yaml
};

struct Envoy {
  Child child;
  uint16_t port = 0;  // of its listener
};

// Starts it with FILES's bootstrap, whose ports are replaced: Sluice's is EXT_PROC_PORT, its own
// are free ones. Waits until it is ready. STEM begins the names of its files.
Result<Envoy> start_envoy(const EnvoyFiles& files, uint16_t ext_proc_port,
                          const std::filesystem::path& stem);

}  // namespace sluice::demo
