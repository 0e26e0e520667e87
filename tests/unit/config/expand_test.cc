#include "host/config/expand.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

#include "host/config/limits.h"

namespace sluice::config {
namespace {

const std::map<std::string, std::string> kVariables = {
    {"HOST", "10.0.0.1"}, {"_x9", "y"}, {"EMPTY", ""}, {"DOLLAR", "$"}, {"NESTED", "${HOST}"}};

const char* look_up(const std::string& name) {
  const auto found = kVariables.find(name);
  return found == kVariables.end() ? nullptr : found->second.c_str();
}

std::string expanded(std::string_view text) {
  const auto result = expand(text, look_up);
  return result ? result.value() : "error: " + result.error();
}

TEST(Expand, FillsInVariablesAndDefaults) {
  EXPECT_EQ(expanded("plain"), "plain");
  EXPECT_EQ(expanded("${HOST}:${PORT:-8080}"), "10.0.0.1:8080");
  EXPECT_EQ(expanded("${_x9}${_x9}"), "yy");
  EXPECT_EQ(expanded("${HOST:-other}"), "10.0.0.1");
  EXPECT_EQ(expanded("[${UNSET:-}]"), "[]");
  EXPECT_EQ(expanded("${UNSET:-a:-b}"), "a:-b");
}

TEST(Expand, TakesTheDefaultWhereTheVariableIsEmpty) {
  EXPECT_EQ(expanded("[${EMPTY}]"), "[]");
  EXPECT_EQ(expanded("${EMPTY:-standard}"), "standard");
}

TEST(Expand, LeavesOtherDollarsAlone) {
  EXPECT_EQ(expanded("$HOST 5$ $$ $}"), "$HOST 5$ $$ $}");
  EXPECT_EQ(expanded("$${HOST}"), "${HOST}");
  EXPECT_EQ(expanded("$${${HOST}}"), "${10.0.0.1}");
}

TEST(Expand, DoesNotExpandWhatAVariableHolds) {
  EXPECT_EQ(expanded("${NESTED}"), "${HOST}");
  EXPECT_EQ(expanded("${DOLLAR}${HOST}"), "$10.0.0.1");
}

TEST(Expand, SaysWhatIsWrong) {
  EXPECT_EQ(expanded("${UNSET}"), "error: the variable \"UNSET\" is not set");
  EXPECT_EQ(expanded("${HOST"), "error: a ${ has no closing }");
  EXPECT_EQ(expanded("${}"), "error: \"\" is not the name of a variable");
  EXPECT_EQ(expanded("${1A}"), "error: \"1A\" is not the name of a variable");
  EXPECT_EQ(expanded("${A B}"), "error: \"A B\" is not the name of a variable");
  EXPECT_EQ(expanded("${HOST:=x}"), "error: \"HOST:=x\" is not the name of a variable");
  EXPECT_EQ(expanded("${A:-${B}}"), "error: the default of \"A\" holds another ${");
}

TEST(Expand, BoundsWhatComesOut) {
  const std::string big(kExpandedMax, 'x');
  const auto result = expand("${BIG}${BIG}", [&](const std::string&) { return big.c_str(); });
  EXPECT_FALSE(result);
}

TEST(Expand, IsTheIdentityWithoutReferences) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    RC_PRE(text.find("${") == std::string::npos);
    RC_ASSERT(expanded(text) == text);
  }));
}

}  // namespace
}  // namespace sluice::config
