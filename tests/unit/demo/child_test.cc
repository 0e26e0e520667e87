#include "host/demo/child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

namespace sluice::demo {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// The children are this test program itself: listing its tests is a program that ends, repeating
// none of them for ever is one that does not.
const std::vector<std::string> kEnds = {"--gtest_list_tests"};
const std::vector<std::string> kStays = {"--gtest_filter=None.AtAll", "--gtest_repeat=-1"};

class ChildTest : public testing::Test {
 protected:
  std::filesystem::path log_ = std::filesystem::path(testing::TempDir()) /
                               ("child_test_" + std::to_string(::getpid()) + ".log");
  ~ChildTest() override { std::filesystem::remove(log_); }
};

TEST_F(ChildTest, EndsByItselfAndLeavesItsOutputInTheLog) {
  auto child = Child::start(kEnds, log_);
  ASSERT_TRUE(child.ok()) << child.error();
  EXPECT_EQ(child->wait(60s), 0);
  EXPECT_EQ(child->exit_code(), 0);
  EXPECT_THAT(tail(log_, 1000), HasSubstr("EndsByItself"));
}

TEST_F(ChildTest, StopsWhenToldTo) {
  auto child = Child::start(kStays, "/dev/null");
  ASSERT_TRUE(child.ok()) << child.error();
  EXPECT_FALSE(child->exit_code());
  EXPECT_EQ(child->stop(60s), 128 + SIGTERM);
  EXPECT_EQ(child->stop(), 128 + SIGTERM);
}

TEST_F(ChildTest, EndsWithItsOwnerAndCanBeMoved) {
  auto first = Child::start(kStays, "/dev/null");
  ASSERT_TRUE(first.ok()) << first.error();
  {
    const Child second = std::move(*first);
    EXPECT_EQ(first->exit_code(), -1);  // holds nothing any more
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no child is left
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(ChildTest, SaysThatAServerDidNotTellItsPort) {
  auto child = Child::start(kEnds, log_, true);
  ASSERT_TRUE(child.ok()) << child.error();
  const auto port = child->wait_for_port(60s);
  ASSERT_FALSE(port.ok());
  EXPECT_THAT(port.error(), HasSubstr("did not say which port"));
}

TEST_F(ChildTest, SaysThatTheLogCannotBeWritten) {
  const auto child = Child::start(kEnds, "/nowhere/at/all.log");
  ASSERT_FALSE(child.ok());
  EXPECT_THAT(child.error(), HasSubstr("/nowhere/at/all.log"));
}

TEST(Tail, GivesTheLastLines) {
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("tail_test_" + std::to_string(::getpid()));
  std::ofstream(file) << "one\ntwo\nthree\n";
  EXPECT_EQ(tail(file, 2), "    two\n    three\n");
  std::filesystem::remove(file);
  EXPECT_EQ(tail(file), "");
}

TEST(FreePort, IsAPort) { EXPECT_NE(free_port(), 0); }

}  // namespace
}  // namespace sluice::demo
