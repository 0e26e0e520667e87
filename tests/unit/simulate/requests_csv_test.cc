#include "host/simulate/requests_csv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace sluice::simulate {
namespace {

constexpr const char* kColumns =
    "id,arrival_s,flow,band,model,prompt_tokens,output_tokens,outcome,endpoint,dispatched_s,"
    "first_token_s,finished_s\n";

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands below the columns' names.
std::string rows(const std::string& path) {
  const std::string text = read(path);
  const std::string_view columns = kColumns;
  EXPECT_EQ(text.substr(0, columns.size()), columns);
  return text.substr(std::min(text.size(), columns.size()));
}

struct File {
  std::string path = testing::TempDir() + "sluice_requests_" +
                     testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv";
  ~File() { std::remove(path.c_str()); }
};

TEST(RequestsCsv, RowsAreExact) {
  File file;
  auto csv = RequestsCsv::open(file.path);
  ASSERT_TRUE(csv) << csv.error();
  (*csv)->add({.id = 1,
               .arrival = 1'500'000'499,
               .dispatched = 1'500'000'500,
               .first_token = 1'999'999'500,
               .finished = 12'000'000'001,
               .flow = "ann|llama",
               .band = "critical",
               .model = "llama",
               .endpoint = "10.0.0.1:8000",
               .prompt_tokens = 512,
               .output_tokens = 64});
  (*csv)->add({.id = 2, .arrival = 0, .band = "default", .outcome = Outcome::kExpired});
  ASSERT_TRUE((*csv)->close());
  EXPECT_EQ(rows(file.path),
            "1,1.500000,ann|llama,critical,llama,512,64,completed,10.0.0.1:8000,1.500001,"
            "2.000000,12.000000\n"
            "2,0.000000,,default,,0,0,expired,,,,\n");
}

TEST(RequestsCsv, FieldsAreQuotedWhereTheyMustBe) {
  File file;
  auto csv = RequestsCsv::open(file.path);
  ASSERT_TRUE(csv);
  (*csv)->add({.flow = "a,b", .band = "say \"hi\"", .model = "two\nlines", .endpoint = "plain 1"});
  ASSERT_TRUE((*csv)->close());
  EXPECT_EQ(rows(file.path),
            "0,0.000000,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",0,0,completed,plain 1,,,\n");
}

TEST(RequestsCsv, MoreThanABufferArrivesWhole) {
  File file;
  auto csv = RequestsCsv::open(file.path);
  ASSERT_TRUE(csv);
  const std::string flow(300'000, 'x');
  for (uint64_t i = 0; i < 20; ++i) (*csv)->add({.id = i, .flow = flow});
  ASSERT_TRUE((*csv)->close());
  const std::string text = rows(file.path);
  const std::string rest = ",,,0,0,completed,,,,\n";
  const size_t ids = 10 * 1 + 10 * 2, times = 20 * std::string_view(",0.000000,").size();
  EXPECT_EQ(text.size(), ids + times + 20 * (flow.size() + rest.size()));
  EXPECT_TRUE(text.ends_with(rest));
}

TEST(RequestsCsv, AFullDiskIsReportedAtCloseWithTheName) {
  auto csv = RequestsCsv::open("/dev/full");
  ASSERT_TRUE(csv);
  for (uint64_t i = 0; i < 50'000; ++i) (*csv)->add({.id = i});
  const Result<void> closed = (*csv)->close();
  ASSERT_FALSE(closed);
  EXPECT_TRUE(closed.error().starts_with("/dev/full: error: ")) << closed.error();
  EXPECT_EQ((*csv)->close().error(), closed.error());
}

TEST(RequestsCsv, AFileThatCannotBeMadeIsAnError) {
  const auto csv = RequestsCsv::open("/nonexistent/requests.csv");
  ASSERT_FALSE(csv);
  EXPECT_TRUE(csv.error().starts_with("/nonexistent/requests.csv: error: ")) << csv.error();
}

}  // namespace
}  // namespace sluice::simulate
