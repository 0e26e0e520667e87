// The decision log as a file: lines that `sluice log check` reads, written behind the engine's
// back.
//
// write() formats into a buffer in memory; a thread of its own takes the buffer to disk. A full
// buffer (a slow or full disk) never holds up the engine: records are left out, and where they are
// missing the file says how many (a `gap` line), so that the checker calls the log incomplete.
// A failed write is tried again from the same byte, so a disk that was full for a while costs a gap
// at most. An earlier file of the same name is kept as NAME.1; one that another process still
// writes is left alone (it holds a lock, flock(2), on it).
// Threads: write() as the engine calls it, one at a time; lost() and error() from any.
// Owns: the file and the thread. Closing writes what is buffered and the line that says so.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/decision_log.h"
#include "core/result.h"

namespace sluice {

inline constexpr size_t kDecisionLogBufferBytes = 16 << 20;  // twice: one fills, one is written

class DecisionLogFile : public DecisionLog {
 public:
  // Whether open() would succeed, as far as that can be told without touching anything.
  static Result<void> can_open(const std::filesystem::path& file);
  // Fails if FILE is anything but a regular file that can be made or replaced.
  static Result<std::unique_ptr<DecisionLogFile>> open(
      const std::filesystem::path& file, size_t buffer_bytes = kDecisionLogBufferBytes);
  ~DecisionLogFile() override;

  void write(const LogRecord& record) override;

  uint64_t lost() const;      // records left out so far
  std::string error() const;  // why the disk does not take the log at the moment; "" = it does

 private:
  DecisionLogFile(int fd, size_t buffer_bytes);
  void append(LogRecord record);  // mutex_ held
  void run();
  // False if it gave up, which it does only while closing.
  bool write_out(const std::string& text);

  const int fd_;
  const size_t buffer_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string filling_;
  bool closing_ = false;
  bool started_ = false;
  TimeNs start_ = 0;   // of the first record; times in the file count from it
  TimeNs last_ = 0;    // of the latest one
  uint64_t gap_ = 0;   // records left out since the last line
  uint64_t lost_ = 0;  // in all
  std::string error_;
  std::thread writer_;
};

}  // namespace sluice
