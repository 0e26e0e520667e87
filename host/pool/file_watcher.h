// Says when the content of one file has changed, however it was changed.
//
// Watches the file's directory with inotify (Kubernetes swaps a symlink beside the file, editors
// rename over it), waits until it has been quiet for a moment, then compares content. A slow poll
// covers what inotify does not see: network file systems, a directory that was not there yet. A
// file that cannot be read counts as another content. Threads: the control io_context's. Ownership:
// keeps itself alive while it runs; after stop() CHANGED is not called. Limits: pool_limits.h; a
// file larger than kFileBytesMax counts as unreadable.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "host/net/asio.h"

namespace sluice {

class FileWatcher : public std::enable_shared_from_this<FileWatcher> {
 public:
  // Remembers what FILE holds now; CHANGED is called for each later difference.
  FileWatcher(asio::io_context& control, std::filesystem::path file, std::function<void()> changed);
  ~FileWatcher();

  void start();
  void stop();

 private:
  void add_watch();
  void drop_watch();
  void wait_for_event();
  void wait_for_poll();
  void compare();

  std::filesystem::path file_;
  std::function<void()> changed_;
  std::optional<std::string> content_;
  asio::posix::stream_descriptor inotify_;
  int watch_ = -1;
  alignas(8) std::array<char, 4096> events_;
  asio::steady_timer quiet_, poll_;
  bool stopped_ = false;
};

}  // namespace sluice
