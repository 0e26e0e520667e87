#include "host/config/diagnostics.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "host/config/limits.h"

namespace sluice::config {
namespace {

using namespace std::string_literals;

// The caret's line of the message at COLUMN of TEXT's first line.
std::string rendered(const std::string& text, uint32_t column) {
  Diagnostics diagnostics;
  diagnostics.set_source("f", text);
  diagnostics.error({1, column}, "m");
  return diagnostics.render();
}

TEST(Diagnostics, PointAtTheColumn) {
  EXPECT_EQ(rendered("key = 1", 7), "f:1:7: error: m\n    1 | key = 1\n      |       ^\n");
}

TEST(Diagnostics, PointBehindTheLastCharacter) {
  EXPECT_EQ(rendered("ab", 3), "f:1:3: error: m\n    1 | ab\n      |   ^\n");
  EXPECT_EQ(rendered("ab", 4'000'000'000), "f:1:4000000000: error: m\n    1 | ab\n      |   ^\n");
}

TEST(Diagnostics, KeepTabsSoThatTheCaretMovesAlong) {
  EXPECT_EQ(rendered("\tk\t= x", 5), "f:1:5: error: m\n    1 | \tk\t= x\n      | \t \t ^\n");
}

TEST(Diagnostics, CountCharactersNotBytes) {
  EXPECT_EQ(rendered("k = \"Zürich\" x", 14),
            "f:1:14: error: m\n    1 | k = \"Zürich\" x\n      |              ^\n");
}

TEST(Diagnostics, IgnoreByteOrderMarkAndCarriageReturn) {
  EXPECT_EQ(rendered("\xef\xbb\xbfk = 1\r\n", 5),
            "f:1:5: error: m\n    1 | k = 1\n      |     ^\n");
}

TEST(Diagnostics, ShowNothingThatATerminalWouldObey) {
  const std::string out = rendered("a\x1b[31m\x07\xff\xc2\x9b\0z"s, 1);
  EXPECT_EQ(out.find_first_of("\x1b\x07\xff\0"s), std::string::npos);
  EXPECT_EQ(out.find("\xc2\x9b"), std::string::npos);
  EXPECT_NE(out.find("a\xef\xbf\xbd[31m"), std::string::npos);
}

TEST(Diagnostics, CutLongLinesAroundTheCaret) {
  std::string line(1'000'000, 'x');
  line[500'000] = '!';
  const std::string out = rendered(line, 500'001);
  EXPECT_LT(out.size(), 4 * kSourceWidthMax);
  const size_t mark = out.find('!'), caret = out.find('^');
  ASSERT_NE(mark, std::string::npos);
  EXPECT_EQ(mark - out.rfind('\n', mark), caret - out.rfind('\n', caret));
}

TEST(Diagnostics, ComeInTheOrderOfTheFile) {
  Diagnostics diagnostics;
  diagnostics.set_source("f", "a\nb\n");
  diagnostics.error({2, 1}, "third");
  diagnostics.warning({1, 1}, "second", "do so");
  diagnostics.error({}, "first");
  EXPECT_TRUE(diagnostics.has_errors());
  EXPECT_EQ(diagnostics.render(),
            "f: error: first\n"
            "f:1:1: warning: second\n    1 | a\n      | ^\n      hint: do so\n"
            "f:2:1: error: third\n    2 | b\n      | ^\n");
}

TEST(Diagnostics, WithoutErrorsAreNoErrors) {
  Diagnostics diagnostics;
  EXPECT_EQ(diagnostics.render(), "");
  diagnostics.warning({}, "w");
  EXPECT_FALSE(diagnostics.has_errors());
}

TEST(Diagnostics, KeepABoundedNumberAndCountTheRest) {
  Diagnostics diagnostics;
  diagnostics.set_source("f", "");
  for (size_t i = 0; i < 10 * kDiagnosticsMax; i++) diagnostics.warning({}, "w");
  for (size_t i = 0; i < kDiagnosticsMax + 7; i++) diagnostics.error({}, "e" + std::to_string(i));
  EXPECT_EQ(diagnostics.all().size(), 2 * kDiagnosticsMax);
  EXPECT_NE(diagnostics.render().find("f: 7 more errors are not shown\n"), std::string::npos);
}

TEST(Diagnostics, SayTheSameOfAPlaceOnce) {
  Diagnostics diagnostics;
  diagnostics.set_source("f", "a\n");
  for (int i = 0; i < 3; i++) diagnostics.error({1, 1}, "e");
  diagnostics.error({2, 1}, "e");
  EXPECT_EQ(diagnostics.all().size(), 2);
}

TEST(Diagnostics, AcceptAnyBytesAndAnyPlace) {
  EXPECT_TRUE(rc::check([](const std::string& text, uint32_t line, uint32_t column) {
    Diagnostics diagnostics;
    diagnostics.set_source("f", text);
    for (const uint32_t l : {1U, 2U, line}) {
      for (const uint32_t c : {0U, 1U, column % 8, column}) diagnostics.error({l, c}, text, text);
    }
    RC_ASSERT(!diagnostics.render().empty());
  }));
}

constexpr std::string_view kKeys[] = {"ordering",  "fairness", "eviction",       "max_requests",
                                      "max_bytes", "ttl",      "no_endpoint_ttl"};

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("orderin", kKeys), "ordering");
  EXPECT_EQ(nearest("fariness", kKeys), "fairness");
  EXPECT_EQ(nearest("tll", kKeys), "ttl");
  EXPECT_EQ(nearest("maxRequests", kKeys), "max_requests");
  EXPECT_EQ(nearest("max-byte", kKeys), "max_bytes");
}

TEST(Nearest, DoesNotGuessWildly) {
  EXPECT_EQ(nearest("colour", kKeys), "");
  EXPECT_EQ(nearest("", kKeys), "");
  EXPECT_EQ(nearest("x", kKeys), "");
  EXPECT_EQ(nearest(std::string(100'000, 'o'), kKeys), "");
  EXPECT_EQ(nearest("ttl", {}), "");
}

// Any one slip in a word of six letters or more leads back to it.
TEST(Nearest, UndoesAnySingleSlip) {
  EXPECT_TRUE(rc::check([] {
    const std::string_view key = *rc::gen::elementOf(std::vector<std::string_view>(
        {kKeys[0], kKeys[1], kKeys[2], kKeys[3], kKeys[4], kKeys[6]}));
    std::string slip(key);
    const size_t at = *rc::gen::inRange<size_t>(0, slip.size() - 1);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        slip.erase(at, 1);
        break;
      case 1:
        slip.insert(at, 1, *rc::gen::inRange('a', 'z'));
        break;
      case 2:
        slip[at] = *rc::gen::inRange('a', 'z');
        break;
      default:
        std::swap(slip[at], slip[at + 1]);
        break;
    }
    RC_ASSERT(nearest(slip, kKeys) == key);
  }));
}

}  // namespace
}  // namespace sluice::config
