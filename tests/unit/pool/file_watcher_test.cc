#include "host/pool/file_watcher.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "host/pool/pool_limits.h"
#include "tests/unit/pool/tiny_server.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class FileWatcherTest : public testing::Test {
 protected:
  FileWatcherTest() {
    std::string pattern = fs::temp_directory_path() / "sluice-watch-XXXXXX";
    directory = mkdtemp(pattern.data());
    file = directory / "endpoints.toml";
    write("one");
  }
  ~FileWatcherTest() override {
    if (watcher) watcher->stop();
    run_for(io, milliseconds(1));
    fs::remove_all(directory);
  }

  void write(const std::string& text) { std::ofstream(file) << text; }
  void start() {
    watcher = std::make_shared<FileWatcher>(io, file, [this] { changes++; });
    watcher->start();
  }
  // Well within the time that the poll would need: inotify saw it.
  bool seen(int count) {
    return run_until(
        io, [&] { return changes == count; }, std::chrono::seconds(4));
  }
  void stays(int count) {
    run_for(io, milliseconds(2 * kFileDebounceNs / 1'000'000));
    EXPECT_EQ(changes, count);
  }

  asio::io_context io;
  fs::path directory, file;
  std::shared_ptr<FileWatcher> watcher;
  int changes = 0;
};

TEST_F(FileWatcherTest, SeesWritesInPlaceAndRenamesOverIt) {
  start();
  write("two");
  EXPECT_TRUE(seen(1));
  std::ofstream(directory / "new") << "three";
  fs::rename(directory / "new", file);
  EXPECT_TRUE(seen(2));
}

TEST_F(FileWatcherTest, SeesASwappedSymlinkAsKubernetesDoesIt) {
  fs::remove(file);
  for (const char* version : {"v1", "v2"}) {
    fs::create_directory(directory / version);
    std::ofstream(directory / version / "endpoints.toml") << version;
  }
  fs::create_directory_symlink("v1", directory / "..data");
  fs::create_symlink("..data/endpoints.toml", file);
  start();
  fs::create_directory_symlink("v2", directory / "..data_tmp");
  fs::rename(directory / "..data_tmp", directory / "..data");
  EXPECT_TRUE(seen(1));
}

TEST_F(FileWatcherTest, SameContentIsNoChangeAndABurstIsOne) {
  start();
  write("one");
  stays(0);
  for (int i = 0; i < 20; i++) write("burst " + std::to_string(i));
  EXPECT_TRUE(seen(1));
  stays(1);
}

TEST_F(FileWatcherTest, RemovalAndReturnAreChanges) {
  start();
  fs::remove(file);
  EXPECT_TRUE(seen(1));
  write("one");
  EXPECT_TRUE(seen(2));
}

TEST_F(FileWatcherTest, NeighboursAreNoChange) {
  start();
  std::ofstream(directory / "other.toml") << "x";
  stays(0);
}

TEST_F(FileWatcherTest, APipeInItsPlaceBlocksNobody) {
  start();
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_TRUE(seen(1));
}

TEST_F(FileWatcherTest, PollFindsADirectoryThatComesLater) {
  fs::remove_all(directory);
  start();
  fs::create_directory(directory);
  write("late");
  EXPECT_TRUE(run_until(io, [&] { return changes == 1; }));
  write("later");
  EXPECT_TRUE(seen(2)) << "and inotify from then on";
}

TEST_F(FileWatcherTest, FollowsADirectoryThatIsReplaced) {
  start();
  fs::rename(directory, directory.string() + ".old");
  fs::create_directory(directory);
  write("two");
  EXPECT_TRUE(run_until(io, [&] { return changes >= 1; }));
  fs::remove_all(directory.string() + ".old");
  const int before = changes;
  write("three");
  EXPECT_TRUE(run_until(io, [&] { return changes > before; }));
}

TEST_F(FileWatcherTest, MayBeStoppedFromItsOwnCallback) {
  watcher = std::make_shared<FileWatcher>(io, file, [this] {
    changes++;
    watcher->stop();
  });
  watcher->start();
  write("two");
  EXPECT_TRUE(seen(1));
  write("three");
  stays(1);
}

}  // namespace
}  // namespace sluice
