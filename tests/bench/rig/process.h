// What a process has used, as the kernel tells. Read from outside: the process does nothing for it.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace sluice::bench {

// Seconds of CPU since its start, user and system, all threads.
double cpu_seconds(pid_t pid);
// Bytes of its memory that are resident (VmRSS).
size_t resident_bytes(pid_t pid);
// One line about a crowd of parked requests: before it, with it, and 5 s after it has gone.
void print_resident(size_t idle, size_t parked, size_t after);

}  // namespace sluice::bench
