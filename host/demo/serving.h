// `sluice serve` as a child process, ready for requests.
//
// Threads and ownership: as Child.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "host/demo/child.h"

namespace sluice::demo {

// Two ports of the loopback interface that are free at this moment; 0 if none is.
std::pair<uint16_t, uint16_t> free_ports();

// Starts PROGRAM with PIPELINE and waits until its admin port says that it is ready. An error shows
// the end of LOG.
Result<Child> start_serving(const std::filesystem::path& pipeline, uint16_t admin_port,
                            const std::filesystem::path& log,
                            const char* program = "/proc/self/exe");

}  // namespace sluice::demo
