#include "tests/bench/rig/process.h"

#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <string>

namespace sluice::bench {

double cpu_seconds(pid_t pid) {
  clockid_t clock = 0;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

size_t resident_bytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  size_t kib = 0;
  for (std::string word; in >> word;)
    if (word == "VmRSS:" && in >> kib) break;
  return kib * 1024;
}

void print_resident(size_t idle, size_t parked, size_t after) {
  const auto mib = [](size_t bytes) { return static_cast<double>(bytes) / 0x1p20; };
  fmt::print("resident: idle {:.1f} MiB, parked {:.1f} MiB, 5 s after {:.1f} MiB ({:+.1f} %)\n",
             mib(idle), mib(parked), mib(after), (mib(after) / mib(idle) - 1) * 100);
}

}  // namespace sluice::bench
