// `sluice log check`: exit codes, and what people and programs are told.

#include "host/cli/log_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using testing::HasSubstr;

class LogCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-cli-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  struct Result {
    int exit_code;
    std::string out, err;
  };
  Result run(std::vector<std::string> arguments) {
    CLI::App app;
    int exit_code = -1;
    add_log_command(app, exit_code);
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      exit_code = 2;
    }
    return {exit_code, testing::internal::GetCapturedStdout(),
            testing::internal::GetCapturedStderr()};
  }
  std::string file_with(std::string_view text) {
    const auto file = folder_ / "decisions.log";
    std::ofstream(file, std::ios::binary) << "sluice-decision-log 1\n" << text;
    return file.string();
  }

  std::filesystem::path folder_;
};

constexpr const char* kOpening =
    "0 band 0 priority=100 name=critical\n0 band 1 priority=0 name=default\n0 endpoint 0 limit=1 "
    "open\n0 class 0 members=0\n";
constexpr const char* kInversion =
    "1000000 submit #1 band=0 flow=0 class=0 key=1 bytes=10 name=a%0Ab\n1000000 submit #2 band=1 "
    "flow=0 class=0 key=1 bytes=10\n"
    "1000000 dispatch #2 endpoint=0 attempt=1\n1000000 settled\n";

TEST_F(LogCommandTest, SaysOkAndHowMuchWasChecked) {
  const std::string file = file_with(std::string(kOpening) + "0 settled\n5000000 close\n");
  const Result result = run({"log", "check", file});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("OK: every promise was kept\n"));
  EXPECT_THAT(result.out, HasSubstr("over 5 ms, in 1 engine calls"));
  EXPECT_THAT(result.out, HasSubstr("inversions                      0"));
}

TEST_F(LogCommandTest, ALogThatIsNotClosedIsOkAsFarAsItGoes) {
  const Result result = run({"log", "check", file_with(std::string(kOpening) + "0 settled\n")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("as far as the log goes"));
}

TEST_F(LogCommandTest, ShowsViolationsWithTheirLines) {
  const std::string file = file_with(std::string(kOpening) + kInversion);
  const Result result = run({"log", "check", file});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(
      result.out,
      HasSubstr(file + ":8: inversion: #2 (band default, flow 0) is dispatched to endpoint 0 while "
                       "#1 (band critical, flow a%0Ab) was parked"));
  EXPECT_THAT(result.out, HasSubstr("BROKEN: 1 violations"));
}

TEST_F(LogCommandTest, TellsProgramsTheSame) {
  const Result result =
      run({"log", "check", "--json",
           file_with(std::string(kOpening) + kInversion + "2000000 gap lost=7\n")});
  EXPECT_EQ(result.exit_code, 1);
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["requests"], 2);
  EXPECT_EQ(json["dispatches"], 1);
  EXPECT_EQ(json["contested_dispatches"], 1);
  EXPECT_EQ(json["violations"]["inversion"], 1);
  EXPECT_EQ(json["violations"]["order"], 0);
  EXPECT_EQ(json["first"][0]["line"], 8);
  EXPECT_EQ(json["first"][0]["kind"], "inversion");
  EXPECT_EQ(json["ended"]["completed"], 0);
  EXPECT_THAT(json["incomplete"].get<std::string>(), HasSubstr("line 10: 7 records are missing"));
}

TEST_F(LogCommandTest, IncompleteLogsAreNoSuccess) {
  const Result cut = run({"log", "check", file_with(std::string(kOpening) + "0 settl")});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.out, HasSubstr("INCOMPLETE: line 6: the file ends in the middle of this line"));
  // A line without end is refused before it fills the memory; lines that straddle blocks are whole.
  EXPECT_THAT(run({"log", "check", file_with(std::string(3 << 20, '1'))}).out,
              HasSubstr("line 2: longer than any record"));
  std::string long_log = kOpening;
  for (int i = 0; i < 200'000; ++i) long_log += "1 settled\n";
  const Result whole = run({"log", "check", file_with(long_log)});
  EXPECT_EQ(whole.exit_code, 0) << whole.out;
  EXPECT_THAT(whole.out, HasSubstr("200,004"));
}

TEST_F(LogCommandTest, WrongUseIsTwo) {
  const Result missing = run({"log", "check", (folder_ / "none").string()});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("none: No such file or directory"));
  EXPECT_EQ(run({"log", "check", folder_.string()}).exit_code, 2);
  EXPECT_EQ(run({"log", "check"}).exit_code, 2);
  EXPECT_EQ(run({"log"}).exit_code, 2);
}

}  // namespace
}  // namespace sluice
