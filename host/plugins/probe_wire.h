// What the host and its probe agree on: which descriptors the child finds open, and how it reports.
#pragma once

#include <cstdint>

namespace sluice::plugins {

inline constexpr int kReportFd = 3;  // a pipe: one ProbeReport for each file that has ended
constexpr int image_fd(int index) { return 4 + 2 * index; }  // the sealed copy
constexpr int answer_fd(int index) {
  return 5 + 2 * index;
}  // an empty file for the description, as JSON

struct ProbeReport {
  uint32_t index;
  int32_t status;  // as waitpid gives it
};

}  // namespace sluice::plugins
