#include "host/pool/file_watcher.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE |
                             IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

// The whole regular file, or nothing. Never waits, whatever the path leads to.
std::optional<std::string> read_file(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  struct stat info;
  std::optional<std::string> out;
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    out.emplace();
    std::array<char, 16384> chunk;
    ssize_t n = 0;
    while ((n = ::read(fd, chunk.data(), chunk.size())) > 0 && out->size() <= kFileBytesMax) {
      out->append(chunk.data(), static_cast<size_t>(n));
    }
    if (n < 0 || out->size() > kFileBytesMax) out.reset();
  }
  ::close(fd);
  return out;
}

}  // namespace

FileWatcher::FileWatcher(asio::io_context& control, std::filesystem::path file,
                         std::function<void()> changed)
    : file_(std::move(file)),
      changed_(std::move(changed)),
      content_(read_file(file_)),
      inotify_(control),
      quiet_(control),
      poll_(control) {}

FileWatcher::~FileWatcher() = default;

void FileWatcher::start() {
  int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd >= 0) {  // without it there is still the poll
    inotify_.assign(fd);
    add_watch();
    wait_for_event();
  }
  wait_for_poll();
}

void FileWatcher::stop() {
  stopped_ = true;
  changed_ = nullptr;
  ErrorCode ignored;
  inotify_.close(ignored);
  quiet_.cancel();
  poll_.cancel();
}

void FileWatcher::add_watch() {
  if (watch_ < 0 && inotify_.is_open()) {
    watch_ = ::inotify_add_watch(inotify_.native_handle(), file_.parent_path().c_str(), kEvents);
  }
}

void FileWatcher::drop_watch() {
  if (watch_ >= 0) ::inotify_rm_watch(inotify_.native_handle(), watch_);
  watch_ = -1;
}

void FileWatcher::wait_for_event() {
  inotify_.async_read_some(asio::buffer(events_),
                           [self = shared_from_this()](ErrorCode error, size_t size) {
                             if (error || self->stopped_) return;
                             for (size_t at = 0; at + sizeof(inotify_event) <= size;) {
                               inotify_event event;
                               std::memcpy(&event, self->events_.data() + at, sizeof(event));
                               at += sizeof(event) + event.len;
                               if (event.mask & (IN_IGNORED | IN_MOVE_SELF))
                                 self->watch_ = -1;  // another directory now
                             }
                             self->quiet_.expires_after(std::chrono::nanoseconds(kFileDebounceNs));
                             self->quiet_.async_wait([self](ErrorCode cancelled) {
                               if (!cancelled && !self->stopped_) self->compare();
                             });
                             self->wait_for_event();
                           });
}

void FileWatcher::wait_for_poll() {
  poll_.expires_after(std::chrono::nanoseconds(kFilePollNs));
  poll_.async_wait([self = shared_from_this()](ErrorCode cancelled) {
    if (cancelled || self->stopped_) return;
    self->compare();
    if (!self->stopped_) self->wait_for_poll();
  });
}

void FileWatcher::compare() {
  add_watch();
  std::optional<std::string> content = read_file(file_);
  if (content == content_) return;
  content_ = std::move(content);
  const std::function<void()> changed = changed_;  // it may call stop()
  changed();
}

}  // namespace sluice
