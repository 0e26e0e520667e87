#include "host/plugins/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

using config::ParamValue;
using testing::HasSubstr;

ParamInfo number(const std::string& name, uint32_t type, int64_t standard, int64_t min,
                 int64_t max) {
  return {name, "", "", type, {standard, 0, ""}, {min, 0, ""}, {max, 0, ""}, {}};
}

std::vector<ParamInfo> table() {
  return {number("count", SLUICE_INT, 3, 1, 10),
          {"ratio", "", "", SLUICE_FLOAT, {0, 0.5, ""}, {0, 0, ""}, {0, 1, ""}, {}},
          number("wait", SLUICE_DURATION, 250'000'000, 0, 60'000'000'000),
          number("room", SLUICE_BYTES, 65536, 0, INT64_MAX),
          number("flag", SLUICE_BOOL, 1, 0, 0),
          {"label", "", "", SLUICE_STRING, {0, 0, "none"}, {}, {}, {}},
          {"pace", "", "", SLUICE_CHOICE, {0, 0, "slow"}, {}, {}, {"slow", "fast"}}};
}

struct Bound {
  std::vector<Value> values;
  std::string errors;
};

Bound bind(std::vector<ParamValue> given) {
  for (ParamValue& value : given) value.at = {7, 9};
  config::Diagnostics diagnostics;
  auto values = bind_params(table(), given, "sluice/test", diagnostics);
  return {std::move(values), text_of(diagnostics)};
}

TEST(Params, DefaultsFillWhatIsLeftOut) {
  const Bound bound = bind({});
  EXPECT_EQ(bound.errors, "");
  ASSERT_EQ(bound.values.size(), 7U);
  EXPECT_EQ(bound.values[0].i, 3);
  EXPECT_EQ(bound.values[0].f, 3.0);  // every member is always set
  EXPECT_EQ(bound.values[1].f, 0.5);
  EXPECT_EQ(bound.values[2].i, 250'000'000);
  EXPECT_EQ(bound.values[5].s, "none");
  EXPECT_EQ(bound.values[6].s, "slow");
}

TEST(Params, EveryTypeIsRead) {
  const Bound bound = bind({{"pace", std::string("fast"), {}},
                            {"room", std::string("1MiB"), {}},
                            {"wait", std::string("2s"), {}},
                            {"ratio", int64_t{1}, {}},
                            {"count", int64_t{10}, {}},
                            {"flag", false, {}},
                            {"label", std::string("x y"), {}}});
  EXPECT_EQ(bound.errors, "");
  EXPECT_EQ(bound.values[0].i, 10);
  EXPECT_EQ(bound.values[1].f, 1.0);
  EXPECT_EQ(bound.values[2].i, 2'000'000'000);
  EXPECT_EQ(bound.values[3].i, 1 << 20);
  EXPECT_EQ(bound.values[4].i, 0);
  EXPECT_EQ(bound.values[5].s, "x y");
  EXPECT_EQ(bound.values[6].s, "fast");
}

TEST(Params, TextThatReadsAsTheTypeIsAccepted) {  // it may come from ${VAR}
  const Bound bound = bind({{"count", std::string("7"), {}},
                            {"ratio", std::string("0.25"), {}},
                            {"flag", std::string("false"), {}}});
  EXPECT_EQ(bound.errors, "");
  EXPECT_EQ(bound.values[0].i, 7);
  EXPECT_EQ(bound.values[1].f, 0.25);
  EXPECT_EQ(bound.values[4].i, 0);
}

TEST(Params, ErrorsStandAtTheParameterAndSayWhatToWrite) {
  EXPECT_THAT(bind({{"cuont", int64_t{1}, {}}}).errors,
              AllOf(HasSubstr("7:9: sluice/test has no parameter \"cuont\""),
                    HasSubstr("did you mean \"count\"?")));
  EXPECT_THAT(bind({{"count", 1.5, {}}}).errors,
              HasSubstr("count of sluice/test cannot be 1.5 | write a whole number"));
  EXPECT_THAT(bind({{"count", int64_t{11}, {}}}).errors,
              HasSubstr("count of sluice/test cannot be 11 | allowed: 1 .. 10"));
  EXPECT_THAT(bind({{"ratio", 1.01, {}}}).errors, HasSubstr("allowed: 0 .. 1"));
  EXPECT_THAT(bind({{"ratio", std::numeric_limits<double>::quiet_NaN(), {}}}).errors,
              HasSubstr("write a number"));
  EXPECT_THAT(bind({{"wait", int64_t{250}, {}}}).errors, HasSubstr("\"250ms\""));
  EXPECT_THAT(bind({{"wait", std::string("2m"), {}}}).errors, HasSubstr("allowed: 0s .. 1m"));
  EXPECT_THAT(bind({{"room", int64_t{-1}, {}}}).errors, HasSubstr("allowed: at least 0B"));
  EXPECT_THAT(bind({{"pace", std::string("fats"), {}}}).errors,
              HasSubstr("did you mean \"fast\"?"));
  EXPECT_THAT(bind({{"label", std::string("a\0b", 3), {}}}).errors, HasSubstr("write a text"));
  EXPECT_THAT(bind({{"flag", int64_t{1}, {}}}).errors, HasSubstr("write true or false"));
}

TEST(Params, AllErrorsAtOnce) {
  const Bound bound =
      bind({{"count", false, {}}, {"nope", false, {}}, {"wait", std::string("soon"), {}}});
  EXPECT_EQ(std::count(bound.errors.begin(), bound.errors.end(), '\n'), 3);
}

}  // namespace
}  // namespace sluice::plugins
