// The text form of the decision log: exact words, and back without loss.

#include "core/decision_log.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <random>

namespace sluice {
namespace {

using Kind = LogRecord::Kind;

std::string line_of(const LogRecord& record) {
  std::string line;
  format_line(record, line);
  return line;
}

std::string error_of(std::string_view line) {
  ParsedRecord parsed;
  std::string error;
  return parse_line(line, parsed, error) ? "" : error;
}

TEST(DecisionLogLine, EveryKindReadsAsDocumented) {
  const std::vector<uint32_t> members = {0, 7, 1023}, none;
  EXPECT_EQ(line_of({.kind = Kind::kBand,
                     .band = 2,
                     .value = static_cast<uint64_t>(-10),
                     .flag = true,
                     .name = "sheddable"}),
            "0 band 2 priority=-10 hold name=sheddable");
  EXPECT_EQ(line_of({.kind = Kind::kEndpoint, .at = 5, .endpoint = 3, .value = 8, .flag = true}),
            "5 endpoint 3 limit=8 open");
  EXPECT_EQ(line_of({.kind = Kind::kEndpoint, .at = 5, .endpoint = 3, .value = kNone}),
            "5 endpoint 3 limit=none closed");
  EXPECT_EQ(line_of({.kind = Kind::kClass, .cls = 4, .members = &members}),
            "0 class 4 members=0,7,1023");
  EXPECT_EQ(line_of({.kind = Kind::kClass, .cls = 4, .members = &none}), "0 class 4 members=none");
  EXPECT_EQ(line_of({.kind = Kind::kSubmit,
                     .at = 9,
                     .seq = 17,
                     .band = 1,
                     .flow = 3,
                     .cls = 4,
                     .key = 12,
                     .value = 812,
                     .name = "llama|acme"}),
            "9 submit #17 band=1 flow=3 class=4 key=12 bytes=812 name=llama|acme");
  EXPECT_EQ(line_of({.kind = Kind::kMove, .seq = 17, .band = 1, .flow = 3, .cls = 4, .key = 12}),
            "0 move #17 band=1 flow=3 class=4 key=12");
  EXPECT_EQ(line_of({.kind = Kind::kDispatch, .seq = 17, .endpoint = 3, .value = 1}),
            "0 dispatch #17 endpoint=3 attempt=1");
  EXPECT_EQ(line_of({.kind = Kind::kDispatch, .seq = 17, .endpoint = 3, .value = 1, .flag = true}),
            "0 dispatch #17 endpoint=3 attempt=1 earlier");
  EXPECT_EQ(line_of({.kind = Kind::kRequeue, .seq = 17, .cls = 4}), "0 requeue #17 class=4");
  EXPECT_EQ(line_of({.kind = Kind::kEnd, .seq = 17, .outcome = Outcome::kRejectedNoEndpoint}),
            "0 end #17 rejected_no_endpoint");
  EXPECT_EQ(line_of({.kind = Kind::kIdle, .band = 1}), "0 idle band=1");
  EXPECT_EQ(line_of({.kind = Kind::kHeld, .seq = 17, .value = 0}), "0 held #17 size");
  EXPECT_EQ(line_of({.kind = Kind::kHeld, .seq = 17, .value = 1}), "0 held #17 better");
  EXPECT_EQ(line_of({.kind = Kind::kFree, .seq = 17}), "0 free #17");
  EXPECT_EQ(line_of({.kind = Kind::kSettled, .at = UINT64_MAX}), "18446744073709551615 settled");
  EXPECT_EQ(line_of({.kind = Kind::kGap, .value = 12}), "0 gap lost=12");
  EXPECT_EQ(line_of({.kind = Kind::kClose}), "0 close");
}

TEST(DecisionLogLine, NamesCannotBreakTheLine) {
  const auto name = [](std::string_view text) {
    const std::string line = line_of({.kind = Kind::kSubmit, .name = text});
    return line.substr(line.find("name=") + 5);
  };
  EXPECT_EQ(name("a b\nc%\x7f"), "a%20b%0Ac%25%7F");
  EXPECT_EQ(name("gr\xc3\xbc\xc3\x9f"
                 "e|\xe6\xa8\xa1|\xf0\x9f\x98\x80"),
            "gr\xc3\xbc\xc3\x9f"
            "e|\xe6\xa8\xa1|\xf0\x9f\x98\x80");
  EXPECT_EQ(name("\xff\xc3"), "%FF%C3");         // never UTF-8; cut short
  EXPECT_EQ(name("\xc0\xaf"), "%C0%AF");         // overlong
  EXPECT_EQ(name("\xed\xa0\x80"), "%ED%A0%80");  // surrogate
  EXPECT_EQ(name("\xc2\x85"), "%C2%85");         // a control that some tools take for a newline
  EXPECT_EQ(name(std::string_view("\0x", 2)), "%00x");
}

void expect_same(const LogRecord& a, const LogRecord& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.at, b.at);
  EXPECT_EQ(a.seq, b.seq);
  EXPECT_EQ(a.band, b.band);
  EXPECT_EQ(a.flow, b.flow);
  EXPECT_EQ(a.cls, b.cls);
  EXPECT_EQ(a.endpoint, b.endpoint);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.outcome, b.outcome);
  EXPECT_EQ(a.flag, b.flag);
  EXPECT_EQ(a.name, b.name);
  ASSERT_EQ(a.members != nullptr, b.members != nullptr);
  if (a.members != nullptr) {
    EXPECT_EQ(*a.members, *b.members);
  }
}

// A record of KIND with only the fields that the kind has.
LogRecord arbitrary(Kind kind, std::string& name, std::vector<uint32_t>& members) {
  const auto u32 = [] { return *rc::gen::arbitrary<uint32_t>(); };
  const auto u64 = [] { return *rc::gen::arbitrary<uint64_t>(); };
  LogRecord r{.kind = kind, .at = u64()};
  const auto place = [&] {
    r.seq = u64(), r.band = u32(), r.flow = u32(), r.cls = u32(), r.key = u64();
    r.name = name;
  };
  switch (kind) {
    case Kind::kBand:
      r.band = u32(), r.name = name, r.flag = *rc::gen::arbitrary<bool>();
      r.value = static_cast<uint64_t>(int64_t{*rc::gen::arbitrary<int32_t>()});
      break;
    case Kind::kEndpoint:
      r.endpoint = u32(), r.value = u32(), r.flag = *rc::gen::arbitrary<bool>();
      break;
    case Kind::kClass:
      r.cls = u32(), r.members = &members;
      break;
    case Kind::kSubmit:
      place();
      r.value = u64();
      break;
    case Kind::kMove:
      place();
      break;
    case Kind::kDispatch:
      r.seq = u64(), r.endpoint = u32(), r.value = u64(), r.flag = *rc::gen::arbitrary<bool>();
      break;
    case Kind::kRequeue:
      r.seq = u64(), r.cls = u32();
      break;
    case Kind::kServed:
      r.seq = u64(), r.endpoint = u32();
      break;
    case Kind::kEnd:
      r.seq = u64(), r.outcome = static_cast<Outcome>(*rc::gen::inRange(0, kOutcomes));
      break;
    case Kind::kIdle:
      r.band = u32();
      break;
    case Kind::kHeld:
      r.seq = u64(), r.value = *rc::gen::inRange<uint64_t>(0, 2);
      break;
    case Kind::kFree:
      r.seq = u64();
      break;
    case Kind::kGap:
      r.value = u64();
      break;
    case Kind::kSettled:
    case Kind::kClose:
      break;
  }
  return r;
}

RC_GTEST_PROP(DecisionLogLine, ComesBackUnchanged, ()) {
  std::string name = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  std::vector<uint32_t> members = *rc::gen::arbitrary<std::vector<uint32_t>>();
  const LogRecord record = arbitrary(
      static_cast<Kind>(*rc::gen::inRange(0, static_cast<int>(Kind::kClose) + 1)), name, members);
  const std::string line = line_of(record);
  RC_ASSERT(line.find('\n') == std::string::npos);
  ParsedRecord parsed;
  std::string error;
  const bool read = parse_line(line, parsed, error);
  RC_LOG() << line << "\n" << error;
  RC_ASSERT(read);
  expect_same(record, parsed.record);
  RC_ASSERT(line_of(parsed.record) == line);
}

TEST(DecisionLogLine, RefusesWhatItDoesNotWriteAndSaysWhere) {
  EXPECT_EQ(error_of("12 dispatch #5 endpoint=x attempt=1"),
            "column 25: expected a number, at most 4294967295");
  EXPECT_EQ(error_of("12 dispatch #5 attempt=1"), "column 15: expected \" endpoint=\"");
  EXPECT_EQ(error_of("12 settled "), "column 11: expected the end of the line");
  EXPECT_EQ(error_of("12 sorted"), "column 10: expected a kind of record before this");
  for (const char* line : {
           "",
           " ",
           "settled",
           "-1 settled",
           "+1 settled",
           "01 settled",
           "1  settled",
           "1\tsettled",
           "1 settled\r",
           "18446744073709551616 settled",
           "1 Settled",
           "0 band 1",
           "0 band 1 priority=-0",
           "0 band 1 priority=+1",
           "0 band 1 priority=2147483648",
           "0 band 1 priority=-2147483649",
           "0 band 1 priority=1 name=",
           "0 band 1 priority=1 name=a hold",
           "0 endpoint 1 limit=8",
           "0 endpoint 1 limit=8 up",
           "0 endpoint 1 limit=4294967295 open",
           "0 endpoint 4294967296 limit=8 open",
           "0 class 1 members=",
           "0 class 1 members=1,",
           "0 class 1 members=1,,2",
           "0 class 1 members=none,1",
           "0 class 1 members=1 ,2",
           "0 submit 5 band=0 flow=0 class=0 key=0 bytes=0",
           "0 submit #5 flow=0 band=0 class=0 key=0 bytes=0",
           "0 submit #5 band=0 flow=0 class=0 key=0",
           "0 move #5 band=0 flow=0 class=0 key=0 bytes=0",
           "0 dispatch #5 endpoint=1 attempt=1 later",
           "0 end #5",
           "0 end #5 gone",
           "0 end #5 completed twice",
           "0 idle 1",
           "0 gap",
           "0 close now",
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=a%2",
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=%2g",
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=%41",  // an escape that is not due
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=%ff",  // lower case
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=\xff",  // an escape that is
                                                                         // missing
           "0 submit #5 band=0 flow=0 class=0 key=0 bytes=0 name=a b",
       }) {
    EXPECT_NE(error_of(line), "") << '"' << line << '"';
  }
}

// Whatever bytes come: either refused, or exactly what format_line writes for the record that was
// read.
TEST(DecisionLogLine, MutatedLinesAreRefusedOrExact) {
  const std::vector<std::string> seeds = {
      "5 band 2 priority=-10 hold name=a%20b",
      "5 endpoint 3 limit=none closed",
      "5 class 4 members=0,7,1023",
      "9 submit #17 band=1 flow=3 class=4 key=12 bytes=812 name=\xc3\xbc",
      "0 dispatch #17 endpoint=3 attempt=1 earlier",
      "7 end #17 upstream_error"};
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string line = seeds[random() % seeds.size()];
    for (uint32_t edits = 1 + random() % 3; edits != 0; --edits) {
      const size_t at = random() % (line.size() + 1);
      const char c = static_cast<char>(random() % 3 == 0 ? random() % 256
                                                         : "0123456789 %#=,-n"[random() % 17]);
      switch (random() % 3) {
        case 0:
          line.insert(at, 1, c);
          break;
        case 1:
          line.erase(at, 1);
          break;
        default:
          if (at < line.size()) line[at] = c;
      }
    }
    ParsedRecord parsed;
    std::string error;
    if (!parse_line(line, parsed, error)) {
      ASSERT_FALSE(error.empty());
      continue;
    }
    ++accepted;
    ASSERT_EQ(line_of(parsed.record), line);
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace sluice
