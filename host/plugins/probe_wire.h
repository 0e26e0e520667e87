// What the host and its probe agree on: which descriptors the child finds open, and how it reports.
#pragma once

#include <cstdint>

namespace sluice::plugins {

// Set in the environment of the child. Who has it starts no probe of its own: a program that loads
// plugins, but whose main does not call probe_main, would start itself without end.
inline constexpr const char* kProbeMark = "SLUICE_PROBE";

inline constexpr int kReportFd = 3;  // a pipe: one ProbeReport for each file that has ended
constexpr int image_fd(int index) { return 4 + 2 * index; }  // the sealed copy
// A file for the description, as JSON. At first it holds what is to be tried, if anything is: CBOR,
// {"kind": "fairness", "name": "vtc", "values": [[i, f, s], ...]}.
constexpr int answer_fd(int index) { return 5 + 2 * index; }

struct ProbeReport {
  uint32_t index;
  int32_t status;  // as waitpid gives it
};

}  // namespace sluice::plugins
