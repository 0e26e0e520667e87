#include "host/sim_server/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::sim_server {
namespace {

using testing::HasSubstr;

TEST(Settings, AnyShownSettingsCanBeAppliedAgain) {
  SimSettings settings;
  settings.max_num_seqs = 3;
  settings.kv_tokens = 4096;
  settings.time_to_first_token_ns = 1'500'000;
  settings.failure = Failure::kReset;
  settings.failure_rate = 0.25;
  settings.metrics = false;
  const auto again = apply_settings(SimSettings{}, settings_json(settings));
  ASSERT_TRUE(again.ok()) << again.error();
  EXPECT_EQ(settings_json(again.value()), settings_json(settings));
}

TEST(Settings, AKeyLeftOutKeepsItsValue) {
  SimSettings settings;
  settings.max_num_seqs = 3;
  const auto changed = apply_settings(settings, R"({"failure": "hang"})");
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed.value().max_num_seqs, 3u);
  EXPECT_EQ(changed.value().failure, Failure::kHang);
}

TEST(Settings, SaysWhatIsWrong) {
  auto error = [](std::string_view json) {
    const auto result = apply_settings(SimSettings{}, json);
    return result.ok() ? std::string("accepted") : result.error();
  };
  EXPECT_THAT(error("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error(R"({"slots": 3})"), HasSubstr("unknown key slots"));
  EXPECT_THAT(error(R"({"max_num_seqs": 0})"), HasSubstr("max_num_seqs must be"));
  EXPECT_THAT(error(R"({"max_num_seqs": "8"})"), HasSubstr("max_num_seqs must be"));
  EXPECT_THAT(error(R"({"max_num_seqs": 5000000000})"), HasSubstr("max_num_seqs must be"));
  EXPECT_THAT(error(R"({"failure": "explode"})"), HasSubstr("none, refuse, hang"));
  EXPECT_THAT(error(R"({"metrics": 0})"), HasSubstr("metrics must be true or false"));
  EXPECT_THAT(error(R"({"failure_rate": 1.5})"), HasSubstr("failure_rate must be"));
  EXPECT_THAT(error(R"({"failure_status": 200})"), HasSubstr("failure_status must be"));
  EXPECT_THAT(error(R"({"time_to_first_token_ms": -1})"), HasSubstr("must be a number"));
  EXPECT_THAT(error(R"({"time_to_first_token_ms": 1e300})"), HasSubstr("must be a number"));
}

}  // namespace
}  // namespace sluice::sim_server
