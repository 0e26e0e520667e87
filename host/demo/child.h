// A child process: this same program with other arguments, or another one, never outliving its
// parent.
//
// The kernel ends the child if the parent dies first; the destructor ends it otherwise (SIGTERM,
// then SIGKILL).
// Threads: start() from a thread that lives as long as the child, or the kernel takes the thread's
// end for the parent's. Ownership: a Child owns its process and the pipe from its standard output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace sluice::demo {

class Child {
 public:
  // Runs PROGRAM with ARGUMENTS; standard error goes to LOG, standard output too unless PIPED.
  static Result<Child> start(const std::vector<std::string>& arguments,
                             const std::filesystem::path& log, bool piped = false,
                             const char* program = "/proc/self/exe");
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  // The port in the line `listening on ADDRESS:PORT` of a piped child.
  Result<uint16_t> wait_for_port(std::chrono::milliseconds patience);
  // Its exit code once it has ended, 128 + signal if one ended it; nullopt while it runs.
  std::optional<int> exit_code();
  // SIGTERM, PATIENCE, SIGKILL; its exit code.
  int stop(std::chrono::milliseconds patience = std::chrono::seconds(10));
  // Waits for it to end by itself; nullopt if it does not within PATIENCE.
  std::optional<int> wait(std::chrono::milliseconds patience);

  pid_t pid() const { return pid_; }  // while it has not been reaped
  const std::filesystem::path& log() const { return log_; }

 private:
  Child() = default;

  pid_t pid_ = -1;  // -1 = reaped or moved from
  int out_ = -1;
  int exit_code_ = -1;
  std::filesystem::path log_;
};

// The last LINES lines of FILE, each indented, for messages; empty if it cannot be read.
std::string tail(const std::filesystem::path& file, size_t lines = 8);

// A port of the loopback interface that is free at this moment; 0 if none is.
uint16_t free_port();

}  // namespace sluice::demo
