#include "host/scheduler/decision_log_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <system_error>

#include "core/decision_checker.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr size_t kWakeBytes = 256 << 10;  // so much is worth a write at once ...
constexpr auto kLingerTime = 20ms;        // ... less waits this long for more
constexpr auto kRetryTime = 100ms;        // after a failed write
constexpr int kClosingTries = 10;         // failed writes before a log that is closing gives up

std::string reason(int error) { return std::generic_category().message(error); }

Error failure(const std::filesystem::path& file, const std::string& why) {
  return {"cannot write the decision log " + file.string() + ": " + why};
}

struct Descriptor {
  explicit Descriptor(int n) : fd(n) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  explicit operator bool() const { return fd >= 0; }
  const int fd;
};

// The first line: what this is, and which moment its times count from.
std::string header() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return std::string(kDecisionLogMagic) + " " + std::to_string(kDecisionLogVersion) + " " + text +
         "\n";
}

}  // namespace

Result<void> DecisionLogFile::can_open(const std::filesystem::path& file) {
  std::error_code code;
  const auto status = std::filesystem::symlink_status(file, code);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return failure(file, "it exists and is not a regular file");
  const std::filesystem::path directory = file.has_parent_path() ? file.parent_path() : ".";
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    return failure(file, directory.string() + ": " + reason(errno));
  return {};
}

Result<std::unique_ptr<DecisionLogFile>> DecisionLogFile::open(const std::filesystem::path& file,
                                                               size_t buffer_bytes) {
  if (Result<void> fine = can_open(file); !fine) return Error{fine.error()};
  if (const Descriptor before(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)); before) {
    if (::flock(before.fd, LOCK_EX | LOCK_NB) != 0)
      return failure(file, "another process is writing it");
    std::error_code code;
    std::filesystem::rename(file, file.string() + ".1", code);
    if (code)
      return failure(
          file, "the one before cannot be renamed to " + file.string() + ".1: " + code.message());
  }
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return failure(file, reason(errno));
  ::flock(fd, LOCK_EX | LOCK_NB);  // nobody else knows the file yet
  return std::unique_ptr<DecisionLogFile>(new DecisionLogFile(fd, buffer_bytes));
}

DecisionLogFile::DecisionLogFile(int fd, size_t buffer_bytes)
    : fd_(fd), buffer_bytes_(buffer_bytes), filling_(header()), writer_([this] { run(); }) {}

DecisionLogFile::~DecisionLogFile() {
  {
    const std::lock_guard lock(mutex_);
    if (gap_ != 0) append({.kind = LogRecord::Kind::kGap, .at = last_, .value = gap_});
    append({.kind = LogRecord::Kind::kClose, .at = last_});
    closing_ = true;
  }
  changed_.notify_one();
  writer_.join();
  ::close(fd_);
}

void DecisionLogFile::write(const LogRecord& record) {
  size_t before = 0, after = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!started_) start_ = record.at;
    started_ = true;
    last_ = record.at;
    before = filling_.size();
    // After a gap half of the buffer must be free again, lest the log become a row of gaps.
    if (before >= (gap_ == 0 ? buffer_bytes_ : buffer_bytes_ / 2)) {
      ++gap_;
      ++lost_;
      return;
    }
    if (gap_ != 0) append({.kind = LogRecord::Kind::kGap, .at = record.at, .value = gap_});
    gap_ = 0;
    append(record);
    after = filling_.size();
  }
  if (before == 0 || (before < kWakeBytes && after >= kWakeBytes)) changed_.notify_one();
}

uint64_t DecisionLogFile::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

std::string DecisionLogFile::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void DecisionLogFile::append(LogRecord record) {
  record.at -= start_;
  format_line(record, filling_);
  filling_ += '\n';
}

void DecisionLogFile::run() {
  std::string writing;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closing_ || !filling_.empty(); });
    changed_.wait_for(lock, kLingerTime, [&] { return closing_ || filling_.size() >= kWakeBytes; });
    if (filling_.empty()) return;  // closing, and all is written
    writing.clear();
    writing.swap(filling_);
    lock.unlock();
    const bool written = write_out(writing);
    lock.lock();
    if (!written) return;
  }
}

bool DecisionLogFile::write_out(const std::string& text) {
  size_t done = 0;
  for (int failures = 0; done < text.size();) {
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    const std::string why = n < 0 ? reason(errno) : "nothing was written";
    std::unique_lock lock(mutex_);
    error_ = why;
    if (closing_ && ++failures == kClosingTries) return false;
    changed_.wait_for(lock, kRetryTime);
  }
  const std::lock_guard lock(mutex_);
  error_.clear();
  return true;
}

}  // namespace sluice
