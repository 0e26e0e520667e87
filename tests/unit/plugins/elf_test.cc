#include "host/plugins/elf.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

using testing::HasSubstr;

constexpr const char* kPrefix = "sluice_plugin_v";

TEST(Elf, FindsTheEntryAndItsSize) {
  const auto elf = read_elf(read_bytes(fixture("good")), kPrefix);
  ASSERT_TRUE(elf.ok()) << elf.error();
  ASSERT_EQ(elf.value().exports.size(), 1U);
  EXPECT_EQ(elf.value().exports[0].name, "sluice_plugin_v0");
  EXPECT_TRUE(elf.value().exports[0].data);
  EXPECT_GE(elf.value().exports[0].size, sizeof(sluice_entry_v1));
}

TEST(Elf, NeedsNoSectionHeaders) {
  auto bytes = read_bytes(fixture("good"));
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes.resize(header.e_shoff);  // as strippers of section headers do
  header.e_shoff = 0;
  header.e_shnum = header.e_shstrndx = 0;
  std::memcpy(bytes.data(), &header, sizeof header);
  const auto elf = read_elf(bytes, kPrefix);
  ASSERT_TRUE(elf.ok()) << elf.error();
  EXPECT_EQ(elf.value().exports.size(), 1U);
}

TEST(Elf, TellsDataFromFunctions) {
  const auto elf = read_elf(read_bytes(fixture("entry_function")), kPrefix);
  ASSERT_TRUE(elf.ok());
  ASSERT_EQ(elf.value().exports.size(), 1U);
  EXPECT_FALSE(elf.value().exports[0].data);
}

TEST(Elf, SaysWhatAFileIsInstead) {
  const std::vector<uint8_t> text{'#', '!', '/', 'b', 'i', 'n'};
  EXPECT_EQ(read_elf(text, kPrefix).error(), "is not an ELF file");
  EXPECT_EQ(read_elf({}, kPrefix).error(), "is not an ELF file");

  auto bytes = read_bytes(fixture("good"));
  auto changed = bytes;
  changed[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(read_elf(changed, kPrefix).error(), HasSubstr("64-bit"));
  changed = bytes;
  changed[offsetof(Elf64_Ehdr, e_machine)] ^= 0x40;
  EXPECT_THAT(read_elf(changed, kPrefix).error(), HasSubstr("another machine"));
  changed = bytes;
  changed[offsetof(Elf64_Ehdr, e_type)] = ET_REL;
  EXPECT_THAT(read_elf(changed, kPrefix).error(), HasSubstr("not a shared object"));
}

TEST(Elf, EveryTruncationIsAnErrorOrLosesNothingThatIsLoaded) {
  const auto bytes = read_bytes(fixture("good"));
  for (size_t length = 0; length < bytes.size(); length += 7) {
    // A buffer of exactly that size, so that a sanitizer sees the first byte too far.
    const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    const auto elf = read_elf(part, kPrefix);
    if (elf.ok()) {
      EXPECT_EQ(elf.value().exports.size(), 1U) << length;
    } else {
      EXPECT_FALSE(elf.error().empty());
    }
  }
  EXPECT_THAT(read_elf(std::span(bytes).first(bytes.size() / 4), kPrefix).error(),
              HasSubstr("truncated"));
}

// Headers, program headers and the dynamic tables stand at the front; most mutations go there.
TEST(Elf, SurvivesMutations) {
  const auto original = read_bytes(fixture("good"));
  std::mt19937_64 random(7);
  constexpr uint64_t kEdges[] = {0,          1,          0x7f,       0xff,           0xffff,
                                 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 15};
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = original;
    const size_t front = round % 2 == 0 ? std::min<size_t>(bytes.size(), 2048) : bytes.size();
    for (uint64_t changes = 1 + random() % 4; changes != 0; --changes) {
      const size_t at = random() % front;
      if (random() % 2 == 0) {
        bytes[at] = static_cast<uint8_t>(random());
      } else {
        const uint64_t edge = kEdges[random() % std::size(kEdges)];
        const size_t width = std::min<size_t>(size_t{1} << random() % 4, bytes.size() - at);
        std::memcpy(bytes.data() + at, &edge, width);
      }
    }
    const auto elf = read_elf(bytes, kPrefix);
    if (!elf.ok()) ++refused;
  }
  // Some mutations must have hit something that matters, or this test tests nothing.
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace sluice::plugins
