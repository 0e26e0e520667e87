#include "host/simulate/servers.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/simulate/rig.h"

namespace sluice::simulate {
namespace {

using ::testing::HasSubstr;

struct Loaded {
  std::optional<std::vector<ServerModel>> servers;
  std::string messages;
};

Loaded load(const std::string& text) {
  const std::filesystem::path file =
      std::filesystem::path(::testing::TempDir()) /
      (::testing::UnitTest::GetInstance()->current_test_info()->name() + std::string(".toml"));
  std::ofstream(file) << text;
  config::Diagnostics diagnostics;
  Loaded loaded;
  loaded.servers = load_servers(file, diagnostics);
  loaded.messages = diagnostics.render();
  std::filesystem::remove(file);
  return loaded;
}

constexpr const char* kTimes =
    "prefill_ms = { base = 6.5, per_token = 0.0664, per_token_sq = 0.0000017 }\n"
    "step_ms = { base = 12.66, per_sequence = 0.038, per_context_token = 0.000092 }\n"
    "kv_tokens = 1000\n";

TEST(Servers, FiguresComeInPicoseconds) {
  const Loaded loaded = load(std::string("[[server]]\n") + kTimes);
  ASSERT_TRUE(loaded.servers) << loaded.messages;
  const ServerModel& s = loaded.servers->front();
  EXPECT_EQ(s.prefill_ps.base, 6'500'000'000u);
  EXPECT_EQ(s.prefill_ps.per_token, 66'400'000u);
  EXPECT_EQ(s.prefill_ps.per_token_sq, 1700u);
  EXPECT_EQ(s.step_ps.per_context_token, 92'000u);
  EXPECT_EQ(s.max_running, 256u);
  EXPECT_EQ(s.admit, ServerModel::Admit::kGreedy);
  EXPECT_FALSE(s.chunked_prefill);
}

TEST(Servers, EachCountsSoOften) {
  const Loaded loaded = load(std::string("[[server]]\nname = \"a\"\ncount = 2\n") + kTimes +
                             "[[server]]\nname = \"b\"\nadmit = \"peak-memory\"\n" + kTimes);
  ASSERT_TRUE(loaded.servers) << loaded.messages;
  ASSERT_EQ(loaded.servers->size(), 3u);
  EXPECT_EQ(loaded.servers->at(0).name, "a-0");
  EXPECT_EQ(loaded.servers->at(1).name, "a-1");
  EXPECT_EQ(loaded.servers->at(2).name, "b");
  EXPECT_EQ(loaded.servers->at(2).admit, ServerModel::Admit::kPeakMemory);
}

TEST(Servers, WhatIsWrongIsSaidAtItsPlace) {
  EXPECT_THAT(load("").messages, HasSubstr("there is no [[server]]"));
  EXPECT_THAT(load("[[server]]\n").messages, HasSubstr("prefill_ms"));
  EXPECT_THAT(load("[[server]]\n").messages, HasSubstr("kv_tokens"));
  EXPECT_THAT(load(std::string("[[server]]\nmax_runing = 3\n") + kTimes).messages,
              HasSubstr("toml:2:1: error: "));
  EXPECT_THAT(load(std::string("[[server]]\nmax_runing = 3\n") + kTimes).messages,
              HasSubstr("max_running"));
  EXPECT_THAT(load(std::string("[[server]]\nmax_running = 0\n") + kTimes).messages,
              HasSubstr("max_running"));
  EXPECT_THAT(load(std::string("[[server]]\nadmit = \"all\"\n") + kTimes).messages,
              HasSubstr("peak-memory"));
  EXPECT_THAT(load("[[server]]\nprefill_ms = { base = -1 }\nstep_ms = { base = 1 }\n"
                   "kv_tokens = 5\n")
                  .messages,
              HasSubstr("prefill_ms.base"));
  EXPECT_THAT(load("[[server]]\nprefill_ms = { base = 1 }\nstep_ms = {}\nkv_tokens = 5\n").messages,
              HasSubstr("a step must take some time"));
  EXPECT_THAT(
      load(std::string("[[server]]\nchunked_prefill = true\nsteps_between_prefills = 3\n") + kTimes)
          .messages,
      HasSubstr("every step may prefill"));
  EXPECT_THAT(load(std::string("[[server]]\nname = \"a\"\n") + kTimes +
                   "[[server]]\nname = \"a\"\n" + kTimes)
                  .messages,
              HasSubstr("there is a server \"a\" already"));
  EXPECT_THAT(load("[[server]\n").messages, HasSubstr("error"));
  EXPECT_THAT(load(std::string("[[server]]\ncount = 100000\n") + kTimes).messages,
              HasSubstr("count"));
}

// In 64 bits of picoseconds these would come out short.
TEST(Servers, TimesThatAreFarTooLongAreSaid) {
  const std::string big = "kv_tokens = 1000000000\n";
  EXPECT_THAT(load("[[server]]\nprefill_ms = { per_token_sq = 1 }\nstep_ms = { base = 1 }\n" + big)
                  .messages,
              HasSubstr("a prefill of 2000000 tokens would take over 11 days"));
  EXPECT_THAT(
      load("[[server]]\nprefill_ms = { per_token = 1e7 }\nstep_ms = { base = 1 }\n" + big).messages,
      HasSubstr("prefill_ms"));
  EXPECT_THAT(load("[[server]]\nprefill_ms = { base = 1 }\n"
                   "step_ms = { base = 1, per_context_token = 1 }\n" +
                   big)
                  .messages,
              HasSubstr("a step of 256 sequences of 2000000 tokens would take over 28 hours"));
}

TEST(Servers, AFileThatIsNotThereIsAnError) {
  config::Diagnostics diagnostics;
  EXPECT_FALSE(load_servers("/nowhere/servers.toml", diagnostics));
  EXPECT_THAT(diagnostics.render(), HasSubstr("cannot be read"));
}

// What conf/servers/ ships can be loaded and runs.
TEST(Servers, ShippedProfilesServe) {
  const std::filesystem::path directory = SLUICE_SOURCE_DIR "/conf/servers";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    ++files;
    config::Diagnostics diagnostics;
    const auto servers = load_servers(entry.path(), diagnostics);
    ASSERT_TRUE(servers) << diagnostics.render();
    const Ran ran = run_list(setup_of("", *servers), {{0, 1000, 100}, {10, 200, 50}});
    EXPECT_EQ(ran.result.all.completed(), 2u) << entry.path();
    EXPECT_LT(ran.result.all.ttft.max_s(), 0.6) << entry.path();
    EXPECT_LT(ran.result.all.itl.max_s(), 0.05) << entry.path();
  }
  EXPECT_EQ(files, 4u);
}

}  // namespace
}  // namespace sluice::simulate
