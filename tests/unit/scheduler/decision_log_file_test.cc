// The decision log on disk: whole lines, in order, and a gap where records are missing, whatever
// the disk does.

#include "host/scheduler/decision_log_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/decision_checker.h"
#include "core/engine.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using Kind = LogRecord::Kind;
using testing::HasSubstr;

class DecisionLogFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sluice-log-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    file_ = folder_ / "decisions.log";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<std::string> lines(const fs::path& file) const {
    std::ifstream in(file, std::ios::binary);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }

  CheckReport check(const fs::path& file) const {
    DecisionChecker checker;
    for (const std::string& line : lines(file)) checker.read_line(line);
    checker.end_of_file(false);
    return checker.report();
  }

  std::unique_ptr<DecisionLogFile> open(size_t buffer_bytes = kDecisionLogBufferBytes) {
    auto made = DecisionLogFile::open(file_, buffer_bytes);
    EXPECT_TRUE(made.ok()) << made.error();
    return std::move(*made);
  }

  fs::path folder_, file_;
};

TEST_F(DecisionLogFileTest, HoldsWhatAnEngineDid) {
  Pipeline pipeline;
  pipeline.bands.resize(1);
  pipeline.bands[0].name = "only one";
  auto engine = Engine::create(std::move(pipeline), 1, 5'000'000);
  ASSERT_TRUE(engine.ok()) << engine.error();
  {
    const auto log = open();
    (*engine)->set_log(5'000'000, log.get());
    (*engine)->set_endpoint(5'000'001, 0, 2, true);
    (*engine)->set_class(5'000'001, 0, {0});
    std::vector<RequestId> ids;
    for (int i = 0; i < 20'000; ++i) {
      ids.push_back((*engine)->submit(
          5'000'002 + i, {.flow = i % 2 == 0 ? "even" : "odd", .flow_hash = uint64_t(i % 2)}));
      if (i >= 2) (*engine)->complete(5'000'002 + i, ids[i - 2], {});
    }
    EXPECT_EQ(log->lost(), 0u);
    EXPECT_EQ(log->error(), "");
    (*engine)->set_log(5'020'002, nullptr);
  }
  const CheckReport report = check(file_);
  EXPECT_TRUE(report.ok()) << report.incomplete
                           << (report.first.empty() ? "" : report.first[0].text);
  EXPECT_TRUE(report.closed);
  EXPECT_EQ(report.requests, 20'000u);
  EXPECT_EQ(report.dispatches, 20'000u);
  EXPECT_EQ(report.in_flight, 2u);
  EXPECT_EQ(report.first_at, 0u);  // times count from the first record
  EXPECT_THAT(lines(file_)[0], testing::MatchesRegex("sluice-decision-log 1 20..-..-..T..:..:..Z"));
  EXPECT_EQ(lines(file_)[1], "0 band 0 priority=0 name=only%20one");
}

TEST_F(DecisionLogFileTest, ReachesTheFileWithoutBeingClosed) {
  const auto log = open();
  log->write({.kind = Kind::kSettled, .at = 7});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (lines(file_).size() < 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  ASSERT_EQ(lines(file_).size(), 2u);
  EXPECT_EQ(lines(file_)[1], "0 settled");
}

TEST_F(DecisionLogFileTest, KeepsTheEarlierLogAndRefusesWhatIsNoFile) {
  { const auto log = open(); }
  { std::ofstream(file_, std::ios::app) << "mark\n"; }
  { const auto log = open(); }
  EXPECT_EQ(lines(file_.string() + ".1").back(), "mark");
  EXPECT_EQ(lines(file_).back(), "0 close");

  const auto error_of = [](const fs::path& file) {
    auto made = DecisionLogFile::open(file);
    return made.ok() ? "" : made.error();
  };
  EXPECT_THAT(error_of(folder_), HasSubstr("is not a regular file"));
  EXPECT_THAT(error_of("/dev/null"),
              HasSubstr("cannot write the decision log /dev/null: it exists and is not"));
  EXPECT_THAT(error_of(folder_ / "none" / "x"), HasSubstr("No such file or directory"));
  const fs::path link = folder_ / "link";
  fs::create_symlink(file_, link);
  EXPECT_THAT(error_of(link), HasSubstr("is not a regular file"));
}

// Counts the records and the missing ones that a file tells of, and that every line of it can be
// read.
struct Tally {
  uint64_t records = 0, missing = 0;
};
Tally tally(const std::vector<std::string>& lines) {
  Tally result;
  for (size_t i = 1; i < lines.size(); ++i) {
    ParsedRecord parsed;
    std::string error;
    EXPECT_TRUE(parse_line(lines[i], parsed, error)) << lines[i] << ": " << error;
    if (parsed.record.kind == Kind::kSettled) ++result.records;
    if (parsed.record.kind == Kind::kGap) result.missing += parsed.record.value;
  }
  return result;
}

TEST_F(DecisionLogFileTest, AWriterThatCannotKeepUpLeavesAGapAndItsSize) {
  constexpr uint64_t kRecords = 300'000;
  uint64_t lost = 0;
  {
    const auto log = open(2000);
    for (uint64_t i = 0; i < kRecords; ++i) log->write({.kind = Kind::kSettled, .at = i});
    lost = log->lost();
  }
  EXPECT_GT(lost, 0u);
  const Tally found = tally(lines(file_));
  EXPECT_EQ(found.missing, lost);
  EXPECT_EQ(found.records, kRecords - lost);
  EXPECT_THAT(check(file_).incomplete, HasSubstr("records are missing here"));
  EXPECT_EQ(lines(file_).back().substr(lines(file_).back().find(' ')), " close");
}

// A disk that is full: a limit on the size of files, which may be raised again.
TEST_F(DecisionLogFileTest, AFullDiskCostsAGapAndNoHalfLine) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit full{1000, before.rlim_max};
  uint64_t written = 0, lost = 0;
  {
    const auto log = open(4000);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const auto in_time = [&] { return std::chrono::steady_clock::now() < deadline; };
    while ((log->lost() == 0 || log->error().empty()) && in_time())
      log->write({.kind = Kind::kSettled, .at = written++});
    EXPECT_EQ(log->error(), "File too large");
    EXPECT_LE(fs::file_size(file_), 1000u);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    while (!log->error().empty() && in_time()) std::this_thread::yield();
    EXPECT_EQ(log->error(), "");
    log->write({.kind = Kind::kSettled, .at = written++});
    lost = log->lost();
  }
  const Tally found = tally(lines(file_));
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(found.missing, lost);
  EXPECT_EQ(found.records, written - lost);
}

TEST_F(DecisionLogFileTest, ADiskThatStaysFullDoesNotHoldUpTheEnd) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit full{10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  { const auto log = open(); }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(check(file_).ok());
}

}  // namespace
}  // namespace sluice
