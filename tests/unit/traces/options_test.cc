#include "host/traces/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Tenants, AreAnExponentAndANumber) {
  const auto mix = parse_tenants("zipf:1.1:20");
  ASSERT_TRUE(mix.ok());
  EXPECT_EQ(mix.value().exponent, 1.1);
  EXPECT_EQ(mix.value().count, 20u);
  EXPECT_TRUE(parse_tenants("zipf:0:1").ok());
  for (const auto& [text, what] :
       {std::pair{"", "does not begin with zipf:"}, std::pair{"20", "does not begin with zipf:"},
        std::pair{"zipf:1", "lacks the number"}, std::pair{"zipf:-1:20", "has no exponent from 0"},
        std::pair{"zipf:nan:20", "has no exponent"}, std::pair{"zipf::20", "has no exponent"},
        std::pair{"zipf:11:20", "(even) to 10"}, std::pair{"zipf:1:0", "from 1 to 100000"},
        std::pair{"zipf:1:100001", "from 1 to 100000"}, std::pair{"zipf:1:2:3", "from 1 to"},
        std::pair{"zipf:1:", "from 1 to"}}) {
    const auto wrong = parse_tenants(text);
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_THAT(wrong.error(), AllOf(HasSubstr("such as zipf:1.1:20"), HasSubstr(what))) << text;
  }
}

TEST(Bands, AreSharesThatAddUpToOne) {
  const auto bands = parse_bands("critical=0.1,default=0.6,sheddable=0.3");
  ASSERT_TRUE(bands.ok());
  ASSERT_EQ(bands.value().size(), 3u);
  EXPECT_EQ(bands.value()[1].band, "default");
  EXPECT_EQ(bands.value()[1].share, 0.6);
  EXPECT_EQ(parse_bands("a=b=1").value()[0].band, "a=b");
  for (const auto& [text, what] :
       {std::pair{"", "\"\" lacks =SHARE"}, std::pair{"a=1,", "lacks =SHARE"},
        std::pair{"=1", "names no band"}, std::pair{"a=x", "no number from 0 to 1"},
        std::pair{"a=-1,b=2", "no number from 0 to 1"}, std::pair{"a=0.5,b=0.4", "add up to 0.9"},
        std::pair{"a=0.5,a=0.5", "\"a\" stands there twice"}, std::pair{"a=nan", "no number"}}) {
    const auto wrong = parse_bands(text);
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_THAT(wrong.error(), AllOf(HasSubstr("such as critical=0.1"), HasSubstr(what))) << text;
  }
}

TEST(TraceOptions, OutOfRangeAreRefused) {
  const std::string trace =
      "arrival_s,flow,objective,model,prompt_tokens,output_tokens\n1,,,,1,1\n";
  for (const double scale : {0.0, -1.0, 1e9, 1e-9, std::numeric_limits<double>::quiet_NaN()}) {
    TraceOptions options;
    options.time_scale = scale;
    EXPECT_THAT(drained(trace, options).error, HasSubstr("the time scale is a number from"));
  }
  TraceOptions options;
  options.repeat = 0;
  EXPECT_THAT(drained(trace, options).error, HasSubstr("played 1 to 10000 times"));
  options = {};
  options.duration = 0;
  EXPECT_THAT(drained(trace, options).error, HasSubstr("longer than 0"));
}

}  // namespace
}  // namespace sluice::traces
