#include "host/traces/mooncake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string row(const std::string& tokens, const std::string& ids) {
  return "{\"timestamp\": 1500, \"input_length\": " + tokens +
         ", \"output_length\": 5, \"hash_ids\": [" + ids + "]}\n";
}

TEST(MooncakeTrace, ReadsARow) {
  const Drained got = drained(
      "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 0, \"hash_ids\": []}\n\n"
      "{\"output_length\": 9, \"chat_id\": \"x\", \"input_length\": 3, \"timestamp\": 3e4}\r\n");
  ASSERT_EQ(got.error, "");
  EXPECT_THAT(times(got.rows), ElementsAre(27.482, 30));
  EXPECT_EQ(got.rows[0].prompt_tokens, 6955u);
  EXPECT_EQ(got.rows[0].output_tokens, 1u);
  EXPECT_EQ(got.rows[1].output_tokens, 9u);
  EXPECT_TRUE(got.rows[1].blocks.empty());
}

TEST(MooncakeTrace, AnIdIsEightBlocksInAChain) {
  const auto rows = drained(row("1100", "7, 8, 9") + row("1100", "7, 9, 9") + row("700", "7, 8") +
                            row("2000", "7, 8") + row("1100", "8, 7"))
                        .rows;
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[0].blocks.size(), 17u);  // wholly inside the prompt
  EXPECT_EQ(rows[2].blocks.size(), 10u);
  EXPECT_EQ(rows[3].blocks.size(), 16u);  // as far as there are ids
  for (size_t i = 0; i < 17; ++i) {
    EXPECT_EQ(rows[0].blocks[i] == rows[1].blocks[i], i < 8) << i;  // also behind a difference
  }
  EXPECT_TRUE(std::equal(rows[2].blocks.begin(), rows[2].blocks.end(), rows[0].blocks.begin()));
  EXPECT_EQ(std::set(rows[0].blocks.begin(), rows[0].blocks.end()).size(), 17u);
  EXPECT_NE(rows[4].blocks[0], rows[0].blocks[8]);
}

TEST(MooncakeTrace, SaysWhatIsWrongAndWhere) {
  const auto error = [](const std::string& line) { return drained(row("1", "") + line).error; };
  EXPECT_EQ(error("{\"timestamp\": 1"), "t.csv:2: error: expected one JSON object on each line");
  EXPECT_THAT(error("[1]"), HasSubstr("expected one JSON object"));
  EXPECT_THAT(error("{} {}"), HasSubstr("expected one JSON object"));
  EXPECT_THAT(error("{\"timestamp\": -1}"), HasSubstr("timestamp must be milliseconds"));
  EXPECT_THAT(error("{\"timestamp\": \"1\"}"), HasSubstr("timestamp must be milliseconds"));
  EXPECT_THAT(error("{\"timestamp\": 1e300}"), HasSubstr("0 to 315360000000"));
  EXPECT_THAT(error("{\"timestamp\": 1, \"input_length\": -1}"),
              HasSubstr("input_length must be there, a whole number up to 1000000"));
  EXPECT_THAT(error("{\"timestamp\": 1, \"input_length\": 1}"), HasSubstr("output_length must be"));
  EXPECT_THAT(error(row("1", "-1")), HasSubstr("t.csv:2: error: hash_ids must be an array"));
  EXPECT_THAT(error(row("1", "\"a\"")), HasSubstr("hash_ids must be an array of whole numbers"));
}

}  // namespace
}  // namespace sluice::traces
