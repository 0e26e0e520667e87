#include "host/plugins/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Render, InspectShowsEveryParameter) {
  const TempDir dir;
  const PluginInfo info = describe_file(dir.put("parameters", "a.so"));
  ASSERT_FALSE(info.refusal) << info.refusal->why;
  const std::string text = render_plugin(info);
  for (const char* part :
       {"com.example.parameters 1.0.0 (Apache-2.0)", "fairness com.example.parameters/parameters",
        "abi     0.1", "PARAMETER", "1 .. 10 requests", "250ms", "0s .. 1m", "64KiB", "at least 0B",
        "0 .. 1", "\"slow\"", "slow, fast", "The first ready slot."})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text, HasSubstr(info.sha256));
}

TEST(Render, ListShowsPoliciesAndRefusals) {
  const TempDir dir;
  dir.put("good", "a.so");
  dir.put(std::vector<uint8_t>{'j', 'u', 'n', 'k'}, "b.so");
  const std::string text = render_list(describe_all(dir.search()));
  EXPECT_THAT(text, HasSubstr("fairness  com.example.fixture/first  1.0.0    " +
                              (dir.path() / "a.so").string()));
  EXPECT_THAT(text, HasSubstr("refused: " + (dir.path() / "b.so").string() +
                              " is not an ELF file\n    fix: "));
  EXPECT_THAT(render_list({}), HasSubstr("no policy was found"));
}

TEST(Render, AFileInABadPlaceIsShownWithANote) {
  const TempDir dir;
  const auto file = dir.put("good", "a.so");
  TempDir::set_mode(dir.path(), 0777);
  const std::string text = render_plugin(describe_file(file));
  EXPECT_THAT(text, HasSubstr("fairness com.example.fixture/first"));
  EXPECT_THAT(text,
              HasSubstr("note    cannot be used where it is: it lies in " + dir.path().string()));
}

TEST(Render, FindsAllFilesByPackageOrPolicy) {
  PluginInfo own, other;
  own.package = "sluice";
  own.policies.resize(1);
  own.policies[0].name = "vtc";
  other.package = "com.example.fair";
  other.policies.resize(1);
  other.policies[0].name = "weighted";
  const std::vector<PluginInfo> plugins{own, other, own};
  const auto packages = [&](std::string_view name) {
    std::vector<std::string> found;
    for (const PluginInfo& plugin : find_plugins(plugins, name)) found.push_back(plugin.package);
    return found;
  };
  EXPECT_THAT(packages("com.example.fair"), testing::ElementsAre("com.example.fair"));
  EXPECT_THAT(packages("com.example.fair/weighted"), testing::ElementsAre("com.example.fair"));
  EXPECT_THAT(packages("vtc"), testing::ElementsAre("sluice", "sluice"));  // of two kinds, say
  EXPECT_THAT(packages("sluice"), testing::ElementsAre("sluice", "sluice"));
  EXPECT_THAT(packages("weighted"), testing::IsEmpty());
}

TEST(Render, JsonComesBackAsItWas) {
  PluginInfo info;
  info.path = "/x/y.so";
  info.sha256 = std::string(64, 'a');
  info.size = 12;
  info.package = "com.example.fair";
  info.version = "1.2";
  info.minor_built = 1;
  PolicyInfo policy;
  policy.name = "weighted";
  policy.kind = Kind::kScoring;
  policy.interfaces = {SLUICE_SCORING_ID};
  policy.events = UINT64_MAX;
  const double infinity = std::numeric_limits<double>::infinity();
  policy.params.push_back(
      {"big", "s", "u", SLUICE_INT, {5, 0, ""}, {INT64_MIN, 0, ""}, {INT64_MAX, 0, ""}, {}});
  policy.params.push_back(
      {"any", "s", "", SLUICE_FLOAT, {0, 0.1, ""}, {0, -infinity, ""}, {0, infinity, ""}, {}});
  policy.params.push_back({"of", "s", "", SLUICE_CHOICE, {0, 0, "a"}, {}, {}, {"a", "b"}});
  policy.params.push_back({"on", "s", "", SLUICE_BOOL, {1, 0, ""}, {}, {}, {}});
  info.policies.push_back(policy);

  PluginInfo back;
  ASSERT_TRUE(parse_json(render_json(info), back));
  EXPECT_EQ(render_json(back), render_json(info));
  EXPECT_EQ(back.policies[0].params[0].min.i, INT64_MIN);
  EXPECT_EQ(back.policies[0].params[1].min.f, -infinity);
  EXPECT_EQ(back.policies[0].params[1].standard.f, 0.1);
  EXPECT_EQ(back.policies[0].kind, Kind::kScoring);
}

TEST(Render, ParsesNothingElse) {
  PluginInfo info;
  for (const char* text :
       {"", "null", "[]", "{}", "{\"path\":3}", "{\"path\":\"a\",\"sha256\":\"b\",\"size\":-1}"})
    EXPECT_FALSE(parse_json(text, info)) << text;
}

TEST(Render, BytesThatAreNoTextDoNoHarm) {
  PluginInfo info;
  info.path = "/x/\xff\x1b[31m.so";
  info.refusal = Refusal{"is bad\n\xfe", "mend it"};
  EXPECT_TRUE(nlohmann::json::accept(render_json(info)));
  EXPECT_THAT(render_list({&info, 1}), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sluice::plugins
