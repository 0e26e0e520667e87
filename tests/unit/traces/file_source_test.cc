#include "host/traces/file_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "host/traces/native.h"
#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kHeader = std::string(kNativeHeader) + "\n";

// Rows at these seconds; the flow is the place in the file.
std::string rows_at(const std::vector<double>& seconds) {
  std::string out = kHeader;
  for (size_t i = 0; i < seconds.size(); ++i) {
    out += std::to_string(seconds[i]) + "," + std::to_string(i) + ",,,1,1\n";
  }
  return out;
}

TEST(FileSource, SortsRowsThatStandALittleTooLate) {
  const Drained got = drained(rows_at({1, 3, 2, 3, 0, 2}));
  EXPECT_EQ(got.error, "");
  EXPECT_THAT(times(got.rows), ElementsAre(0, 1, 2, 2, 3, 3));
  EXPECT_EQ(flows(got.rows), "4,0,2,5,1,3");  // those of one time as in the file
}

TEST(FileSource, ARowMayBe1024RowsTooLateAndNoMore) {
  std::vector<double> seconds;
  for (int i = 0; i < 3000; ++i) seconds.push_back(i + 1);
  for (const size_t late : {size_t{1024}, size_t{1025}}) {
    std::vector<double> moved = seconds;
    moved.insert(moved.begin() + 1500, 1500.0 - static_cast<double>(late) + 0.5);
    const Drained got = drained(rows_at(moved));
    if (late == 1024) {
      EXPECT_EQ(got.error, "");
      EXPECT_EQ(got.rows.size(), 3001u);
      EXPECT_TRUE(std::is_sorted(got.rows.begin(), got.rows.end(),
                                 [](auto& a, auto& b) { return a.at < b.at; }));
    } else {
      EXPECT_EQ(got.error,
                "t.csv:1502: error: this row belongs more than 1024 rows before; sort the file by "
                "time");
    }
  }
}

TEST(FileSource, TakesAPieceThatBeginsAtZero) {
  TraceOptions options;
  options.start = 2'000'000'000;
  options.duration = 3'000'000'000;
  const Drained got = drained(rows_at({0, 1, 2.5, 4, 5, 6}), options);
  EXPECT_THAT(times(got.rows), ElementsAre(0.5, 2));
  EXPECT_EQ(got.rows[0].ordinal, 2u);
  options.start = 100'000'000'000;
  EXPECT_EQ(drained(rows_at({0, 1, 2.5}), options).error,
            "t.csv: error: no row is in the piece from second 100; the last one read is at second "
            "2.5");
}

TEST(FileSource, RepeatsWithAMeanGapBetween) {
  TraceOptions options;
  options.repeat = 3;
  const Drained got = drained(rows_at({1, 2, 5}), options);
  EXPECT_EQ(got.error, "");
  EXPECT_THAT(times(got.rows), ElementsAre(1, 2, 5, 7, 8, 11, 13, 14, 17));
  EXPECT_EQ(flows(got.rows), "0,1,2,0,1,2,0,1,2");
  EXPECT_EQ(got.rows[8].ordinal, 8u);
  EXPECT_THAT(times(drained(rows_at({4}), options).rows), ElementsAre(4, 5, 6));
}

TEST(FileSource, RepeatsAPieceOfALongFile) {
  std::vector<double> seconds;
  for (int i = 0; i < 5000; ++i) seconds.push_back(i);
  TraceOptions options;
  options.start = 10'000'000'000;
  options.duration = 2000'000'000'000;
  options.repeat = 4;
  const Drained got = drained(rows_at(seconds), options);
  EXPECT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 8000u);
  for (size_t i = 0; i < got.rows.size(); ++i) ASSERT_EQ(got.rows[i].at_s, i);
}

TEST(FileSource, PlaysFasterAndSlower) {
  TraceOptions options;
  options.time_scale = 2;
  EXPECT_THAT(times(drained(rows_at({1, 2, 5}), options).rows), ElementsAre(0.5, 1, 2.5));
  options.time_scale = 0.5;
  EXPECT_THAT(times(drained(rows_at({1, 2, 5}), options).rows), ElementsAre(2, 4, 10));
  options.time_scale = 1e-6;
  const Drained slow = drained(rows_at({1, 1000}), options);
  EXPECT_EQ(slow.rows.size(), 1u);
  EXPECT_THAT(slow.error, HasSubstr("the trace lasts over 87600h"));
}

TEST(FileSource, RefusesAReplayOfOver10Years) {
  TraceOptions options;
  options.repeat = 10'000;
  const Drained got = drained(rows_at({0, 300'000'000}), options);
  EXPECT_EQ(got.error, "t.csv: error: the trace would last over 87600h");
  EXPECT_EQ(got.rows.size(), 2u);
}

TEST(FileSource, TellsItsProgress) {
  auto source = open_text(rows_at({1, 2, 3, 4}));
  ASSERT_TRUE(source.ok());
  drain(**source);
  EXPECT_EQ((*source)->progress(), 1);
  EXPECT_EQ((*source)->next_at(), kNever);
}

}  // namespace
}  // namespace sluice::traces
