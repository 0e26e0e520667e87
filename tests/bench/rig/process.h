// What a process has used, as the kernel tells. Read from outside: the process does nothing for it.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace sluice::bench {

// Seconds of CPU since its start, user and system, all threads.
double cpu_seconds(pid_t pid);
// Bytes of its memory that are resident (VmRSS).
size_t resident_bytes(pid_t pid);

}  // namespace sluice::bench
