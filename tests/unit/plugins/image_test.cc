#include "host/plugins/image.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string refusal_of(const Image& image) {
  return image.refusal ? image.refusal->why : "accepted";
}

TEST(Image, HashesWhatItCopies) {
  const TempDir dir;
  dir.put(std::vector<uint8_t>{'a', 'b', 'c'}, "abc.so");
  const Image image = open_image(dir.path() / "abc.so", dir.path(), UINT64_MAX);
  EXPECT_EQ(image.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(image.size, 3U);
  EXPECT_EQ(refusal_of(image), "is not an ELF file");
}

TEST(Image, TheCopyCannotBeChanged) {
  const TempDir dir;
  const Image image = open_image(dir.put("good", "a.so"), dir.path(), UINT64_MAX);
  ASSERT_EQ(refusal_of(image), "accepted");
  EXPECT_EQ(::pwrite(image.copy.get(), "x", 1, 0), -1);
  EXPECT_EQ(::ftruncate(image.copy.get(), 0), -1);
}

TEST(Image, RefusesWhatOthersMayWrite) {
  const TempDir dir;
  const fs::path file = dir.put("good", "a.so");
  TempDir::set_mode(file, 0646);
  EXPECT_THAT(refusal_of(open_image(file, dir.path(), UINT64_MAX)),
              HasSubstr("writable by everybody (mode 0646)"));
  TempDir::set_mode(file, 0664);
  EXPECT_THAT(refusal_of(open_image(file, dir.path(), UINT64_MAX)),
              HasSubstr("writable by its group"));
  TempDir::set_mode(file, 0644);
  TempDir::set_mode(dir.path(), 0777);
  const Image image = open_image(file, dir.path(), UINT64_MAX);
  EXPECT_THAT(refusal_of(image), HasSubstr("lies in " + dir.path().string()));
  EXPECT_EQ(image.refusal->fix, "chmod go-w " + dir.path().string());
  TempDir::set_mode(dir.path(), 0755);
  EXPECT_EQ(refusal_of(open_image(file, dir.path(), UINT64_MAX)), "accepted");
}

TEST(Image, RefusesWhatAnotherUserOwns) {
  if (::geteuid() != 0) return;  // only root can give files away
  const TempDir dir;
  const fs::path file = dir.put("good", "a.so");
  ASSERT_EQ(::chown(file.c_str(), 12345, 12345), 0);
  EXPECT_THAT(refusal_of(open_image(file, dir.path(), UINT64_MAX)),
              HasSubstr("owned by user 12345"));
}

TEST(Image, LinksMayNotLeaveTheDirectory) {
  const TempDir dir, other;
  other.put("good", "elsewhere.so");
  fs::create_symlink(other.path() / "elsewhere.so", dir.path() / "out.so");
  EXPECT_THAT(refusal_of(open_image(dir.path() / "out.so", dir.path(), UINT64_MAX)),
              HasSubstr("symbolic link to " + (other.path() / "elsewhere.so").string()));
  dir.put("good", "real.so.1");
  fs::create_symlink("real.so.1", dir.path() / "real.so");
  EXPECT_EQ(refusal_of(open_image(dir.path() / "real.so", dir.path(), UINT64_MAX)), "accepted");
  // A directory that is itself reached by a link is still the directory.
  fs::create_directory_symlink(dir.path(), other.path() / "link");
  EXPECT_EQ(
      refusal_of(open_image(other.path() / "link/real.so", other.path() / "link", UINT64_MAX)),
      "accepted");
}

TEST(Image, OnlyRegularFilesThatCanBeRead) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir.path() / "pipe.so").c_str(), 0600), 0);
  EXPECT_EQ(refusal_of(open_image(dir.path() / "pipe.so", dir.path(), UINT64_MAX)),
            "is not a regular file");
  fs::create_directory(dir.path() / "dir.so");
  EXPECT_EQ(refusal_of(open_image(dir.path() / "dir.so", dir.path(), UINT64_MAX)),
            "is not a regular file");
  fs::create_symlink("nothing", dir.path() / "dangling.so");
  EXPECT_THAT(refusal_of(open_image(dir.path() / "dangling.so", dir.path(), UINT64_MAX)),
              HasSubstr("cannot be opened"));
}

TEST(Image, SizeIsLimited) {
  const TempDir dir;
  const fs::path file = dir.put("good", "a.so");
  EXPECT_THAT(refusal_of(open_image(file, dir.path(), 1000)),
              HasSubstr("larger than the 1000 bytes"));
}

TEST(Image, EntryMustBeExportedData) {
  const TempDir dir;
  EXPECT_THAT(refusal_of(open_image(dir.put("no_entry", "a.so"), dir.path(), UINT64_MAX)),
              HasSubstr("exports no sluice_plugin_v0"));
  EXPECT_THAT(refusal_of(open_image(dir.put("entry_function", "b.so"), dir.path(), UINT64_MAX)),
              HasSubstr("not data"));
  const Image major = open_image(dir.put("wrong_major", "c.so"), dir.path(), UINT64_MAX);
  EXPECT_EQ(refusal_of(major),
            "exports sluice_plugin_v1: it was built for plugin ABI 1.x, this host speaks 0.1");
  EXPECT_THAT(major.refusal->fix, HasSubstr("0.1 headers"));
}

TEST(Image, MentionsWholeStringsOnly) {
  const TempDir dir;
  const Image image = open_image(dir.put("good", "a.so"), dir.path(), UINT64_MAX);
  EXPECT_TRUE(mentions(image, "com.example.fixture"));
  EXPECT_TRUE(mentions(image, "first"));
  EXPECT_FALSE(mentions(image, "irst"));
  EXPECT_FALSE(mentions(image, "com.example"));
  EXPECT_FALSE(mentions(Image{}, "a"));
}

}  // namespace
}  // namespace sluice::plugins
