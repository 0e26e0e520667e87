#include "host/plugins/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

namespace fs = std::filesystem;
using Status = Loader::Status;
using testing::AllOf;
using testing::HasSubstr;

struct Answer {
  Status status;
  PolicyPtr policy;
  std::string text;
};

Answer resolve(const SearchPath& path, const config::PolicyUse& wanted,
               Kind kind = Kind::kFairness) {
  config::Diagnostics diagnostics;
  auto resolved = Loader(path).resolve(wanted, kind, diagnostics);
  return {resolved.status, std::move(resolved.policy), text_of(diagnostics)};
}

// What the policy answers to a table with these ready bits: proof of which code is loaded and that
// it runs.
uint32_t pick(const Policy& policy, uint64_t ready) {
  const auto* vtable = static_cast<const sluice_fairness_v1*>(policy.find(SLUICE_FAIRNESS_ID));
  sluice_flows flows{};
  flows.struct_size = sizeof flows;
  flows.slots = 64;
  flows.ready_bits = &ready;
  uint64_t retry_ns = SLUICE_NEVER;
  return vtable->pick(policy.object(), nullptr, &flows, &retry_ns);
}

TEST(Loader, LoadsAPolicyThatWorks) {
  const TempDir dir;
  dir.put("good", "any-name.so");
  const Answer answer = resolve(dir.search(), use("com.example.fixture/first"));
  EXPECT_EQ(answer.text, "");
  ASSERT_TRUE(answer.policy);
  EXPECT_EQ(answer.policy->name(), "com.example.fixture/first");
  EXPECT_EQ(pick(*answer.policy, 0b1000), 3U);
}

TEST(Loader, TheSameFileAndParametersAreTheSamePolicy) {
  const TempDir dir;
  dir.put("parameters", "a.so");
  const auto name = "com.example.parameters/parameters";
  const Answer one = resolve(dir.search(), use(name));
  const Answer same =
      resolve(dir.search(), use(name, {{"count", int64_t{3}, {}}}));  // the default, written out
  const Answer other = resolve(dir.search(), use(name, {{"count", int64_t{4}, {}}}));
  ASSERT_TRUE(one.policy && same.policy && other.policy) << one.text << same.text << other.text;
  EXPECT_EQ(one.policy, same.policy);
  EXPECT_NE(one.policy, other.policy);
  EXPECT_EQ(&one.policy->descriptor(), &other.policy->descriptor());  // one image
}

TEST(Loader, AFileMayBeOverwrittenWhileItIsInUse) {
  const TempDir dir;
  dir.put("good", "a.so");
  const Answer before = resolve(dir.search(), use("com.example.fixture/first"));
  ASSERT_TRUE(before.policy) << before.text;
  dir.put("good_2", "a.so");  // in place, into the very inode
  EXPECT_EQ(pick(*before.policy, 0b10), 1U);
  const Answer after = resolve(dir.search(), use("com.example.fixture/first"));
  ASSERT_TRUE(after.policy) << after.text;
  EXPECT_NE(&before.policy->descriptor(), &after.policy->descriptor());
  EXPECT_EQ(describe_all(dir.search())[0].version, "2.0.0");
  write_bytes(dir.path() / "a.so", {});
  EXPECT_EQ(pick(*before.policy, 0b10), 1U);
  EXPECT_EQ(pick(*after.policy, 0b100), 2U);
}

TEST(Loader, AnUnknownNameNamesTheNearestAndWhereItLooked) {
  const TempDir dir;
  dir.put("good", "a.so");
  SearchPath path = dir.search();
  path.directories.push_back(dir.path() / "missing");
  const Answer answer = resolve(path, use("com.example.fixture/frist"));
  EXPECT_EQ(answer.status, Status::kConfigError);
  EXPECT_EQ(answer.text,
            "3:5: there is no fairness policy \"com.example.fixture/frist\" | did you mean "
            "\"com.example.fixture/first\"? searched " +
                dir.path().string() + " (1 file), " + dir.path().string() +
                "/missing (does not exist)\n");
}

TEST(Loader, AnUnknownNameSaysThatFilesWereRefused) {
  const TempDir dir;
  dir.put("good", "a.so");
  dir.put(std::vector<uint8_t>{'j', 'u', 'n', 'k'}, "b.so");
  const Answer answer = resolve(dir.search(), use("com.example.fixture/other-thing"));
  EXPECT_EQ(answer.status, Status::kConfigError);
  EXPECT_THAT(answer.text, AllOf(HasSubstr("there are: com.example.fixture/first; searched"),
                                 HasSubstr("1 file is refused there")));
}

TEST(Loader, AnotherKindIsSaidToBeOne) {
  const TempDir dir;
  dir.put("good", "a.so");
  const Answer answer = resolve(dir.search(), use("com.example.fixture/first"), Kind::kEviction);
  EXPECT_EQ(answer.status, Status::kConfigError);
  EXPECT_THAT(answer.text,
              HasSubstr("is a fairness policy, and this place takes an eviction policy"));
}

TEST(Loader, ShadowRunsTheBuiltInButIsChecked) {
  const TempDir dir;
  dir.put("parameters", "a.so");
  auto wanted = use("com.example.parameters/parameters", {{"count", int64_t{99}, {4, 1}}});
  wanted.shadow = true;
  EXPECT_THAT(resolve(dir.search(), wanted).text, HasSubstr("4:1: count"));
  wanted.params.clear();
  const Answer answer = resolve(dir.search(), wanted);
  EXPECT_EQ(answer.status, Status::kOk);
  EXPECT_EQ(answer.policy, nullptr);
}

TEST(Loader, ParametersReachCreate) {
  const TempDir dir;
  dir.put("parameters", "a.so");
  // With count = 10 the fixture fails and says what it was given.
  const Answer answer = resolve(
      dir.search(), use("com.example.parameters/parameters", {{"count", int64_t{10}, {}},
                                                              {"flag", false, {}},
                                                              {"ratio", 0.25, {}},
                                                              {"wait", std::string("1s"), {}},
                                                              {"room", std::string("1KiB"), {}},
                                                              {"label", std::string("gold"), {}},
                                                              {"pace", std::string("fast"), {}}}));
  EXPECT_EQ(answer.status, Status::kRefused);
  EXPECT_THAT(
      answer.text,
      HasSubstr(
          "failed: n=7 flag=0 count=10 ratio=0.25 wait=1000000000 room=1024 label=gold pace=fast"));
}

TEST(Loader, CreateMayDeclareColumnsAndKeepIdleFlows) {
  const TempDir dir;
  dir.put("parameters", "a.so");
  const Answer answer =
      resolve(dir.search(), use("com.example.parameters/parameters", {{"count", int64_t{5}, {}}}));
  ASSERT_TRUE(answer.policy) << answer.text;
  EXPECT_EQ(answer.policy->retain_idle_ns, 5'000'000'000U);
  const DeclaredColumns columns = PluginRegistry::instance().declared();
  const auto found = std::find_if(columns.request_ints.begin(), columns.request_ints.end(),
                                  [](const auto& column) { return column.name == "x-fixture"; });
  ASSERT_NE(found, columns.request_ints.end());
  EXPECT_EQ(found->source, Source::kHeader);
  EXPECT_EQ(found->absent, -1);
}

TEST(Loader, EveryPolicyThatWeShipLoads) {
  const TempDir dir;  // copies, whatever the modes of the build directory are
  for (const auto& entry :
       fs::directory_iterator(fs::path(SLUICE_BUILD_DIR) / "lib/sluice/plugins"))
    dir.put(read_bytes(entry.path()), entry.path().filename().string());
  const auto plugins = describe_all(dir.search());
  EXPECT_GE(plugins.size(), 14U);
  Loader loader(dir.search());
  config::Diagnostics diagnostics;
  for (const PluginInfo& plugin : plugins) {
    EXPECT_FALSE(plugin.refusal) << plugin.path << " " << plugin.refusal->why;
    for (const PolicyInfo& policy : plugin.policies) {
      const auto resolved =
          loader.resolve(use(plugin.package + "/" + policy.name), policy.kind, diagnostics);
      EXPECT_TRUE(resolved.policy) << plugin.path;
    }
  }
  EXPECT_EQ(text_of(diagnostics), "");
}

// ---- which file ----

TEST(Loader, TheFirstFileWins) {
  const TempDir first, second;
  first.put("good_2", "z.so");
  second.put("good", "a.so");
  SearchPath path{{first.path(), second.path()}, false, {}};
  EXPECT_NE(resolve(path, use("com.example.fixture/first")).policy,
            resolve(second.search(), use("com.example.fixture/first")).policy);
  const auto plugins = describe_all(path);
  ASSERT_EQ(plugins.size(), 2U);
  EXPECT_EQ(plugins[0].version, "2.0.0");
  ASSERT_EQ(plugins[1].notes.size(), 1U);
  EXPECT_THAT(plugins[1].notes[0], HasSubstr("a file before it does, too"));
}

TEST(Loader, ARefusedFileThatWouldHaveWonIsSaid) {
  const TempDir first, second;
  TempDir::set_mode(first.put("good_2", "a.so"), 0666);
  second.put("good", "a.so");
  const Answer answer =
      resolve({{first.path(), second.path()}, false, {}}, use("com.example.fixture/first"));
  EXPECT_EQ(answer.status, Status::kOk);
  EXPECT_TRUE(answer.policy);
  EXPECT_THAT(answer.text,
              AllOf(HasSubstr("which comes first"), HasSubstr("writable by everybody")));
}

TEST(Loader, OnlySharedObjectsOfTheDirectoryItself) {
  const TempDir dir;
  dir.put("good", "a.so");
  dir.put("good", ".hidden.so");
  dir.put("good", "b.so.bak");
  fs::create_directory(dir.path() / "sub");
  dir.put("good", "sub/c.so");
  ASSERT_EQ(describe_all(dir.search()).size(), 1U);
}

TEST(Loader, AFileThatNothingNamesRunsNothingHere) {
  const TempDir dir;
  dir.put("constructor_marks", "a.so");
  dir.put("good", "b.so");
  const fs::path mark = dir.path() / "mark";
  ::setenv("SLUICE_TEST_MARK", mark.c_str(), 1);
  const Answer answer = resolve(dir.search(), use("com.example.fixture/first"));
  EXPECT_TRUE(answer.policy) << answer.text;
  const auto by_probe = read_bytes(mark);
  EXPECT_FALSE(by_probe.empty());  // so the mark works
  EXPECT_EQ(std::string(by_probe.begin(), by_probe.end()).find(std::to_string(::getpid()) + "\n"),
            std::string::npos);
  EXPECT_TRUE(resolve(dir.search(), use("com.example.marks/first")).policy);
  const auto by_both = read_bytes(mark);
  EXPECT_NE(std::string(by_both.begin(), by_both.end()).find(std::to_string(::getpid()) + "\n"),
            std::string::npos);
  ::unsetenv("SLUICE_TEST_MARK");
}

TEST(Loader, SearchPathOrder) {
  const TempDir dir;
  fs::create_directories(dir.path() / "usr/lib/sluice/plugins");
  fs::create_directory_symlink(dir.path(), dir.path() / "alias");
  config::Config config;
  config.plugin_directories = {dir.path() / "mine", dir.path() / "alias"};
  const std::string environment =
      "::" + (dir.path() / "env").string() + ":" + (dir.path() / "mine").string();
  const fs::path executable = dir.path() / "usr/bin/sluice";
  SearchPath path = search_path(&config, environment.c_str(), executable);
  ASSERT_GE(path.directories.size(), 4U);
  EXPECT_EQ(path.directories[0], dir.path() / "mine");
  EXPECT_EQ(path.directories[1], dir.path());  // read through the link
  EXPECT_EQ(path.directories[2], dir.path() / "env");
  EXPECT_EQ(path.directories[3], dir.path() / "usr/lib/sluice/plugins");

  config.require_sha256 = true;
  config.bands.resize(1);
  config.bands[0].fairness.sha256 = "ABCDEF";
  path = search_path(&config, environment.c_str(), executable);
  EXPECT_EQ(path.directories[2], dir.path() / "usr/lib/sluice/plugins");
  EXPECT_EQ(path.pins, std::set<std::string>{"abcdef"});
}

// ---- pins ----

TEST(Loader, APinMustMatch) {
  const TempDir dir;
  const fs::path file = dir.put("good", "a.so");
  auto wanted = use("com.example.fixture/first");
  wanted.sha256 = std::string(64, '0');
  const Answer wrong = resolve(dir.search(), wanted);
  EXPECT_EQ(wrong.status, Status::kRefused);
  EXPECT_THAT(wrong.text, AllOf(HasSubstr(file.string()), HasSubstr("not the 000")));
  wanted.sha256 = describe_file(file).sha256;
  EXPECT_TRUE(resolve(dir.search(), wanted).policy);
}

TEST(Loader, UnderRequireSha256OnlyPinnedFilesAreDescribed) {
  const TempDir dir;
  dir.put("constructor_marks", "a.so");
  const fs::path mark = dir.path() / "mark";
  ::setenv("SLUICE_TEST_MARK", mark.c_str(), 1);
  auto wanted = use("com.example.marks/first");
  wanted.sha256 = std::string(64, '1');
  SearchPath path = dir.search();
  path.require_sha256 = true;
  path.pins = {wanted.sha256};
  const Answer wrong = resolve(path, wanted);
  EXPECT_EQ(wrong.status, Status::kRefused);
  EXPECT_THAT(wrong.text, HasSubstr("not the 111"));
  const Answer unpinned = resolve(path, use("com.example.marks/first"));
  EXPECT_EQ(unpinned.status, Status::kConfigError);
  EXPECT_THAT(unpinned.text, HasSubstr("write sha256 = \""));
  EXPECT_FALSE(fs::exists(mark));
  ::unsetenv("SLUICE_TEST_MARK");
}

// ---- refusals: a named policy in a file that cannot be used ----

struct Bad {
  const char* fixture;
  const char* why;
  Kind kind = Kind::kFairness;
  const char* name = "com.example.fixture/first";
};

class BadPlugin : public testing::TestWithParam<Bad> {};

TEST_P(BadPlugin, IsRefusedWithTheReason) {
  const TempDir dir;
  const fs::path file = dir.put(GetParam().fixture, "bad.so");
  const Answer answer = resolve(dir.search(), use(GetParam().name), GetParam().kind);
  EXPECT_EQ(answer.status, Status::kRefused);
  EXPECT_EQ(answer.policy, nullptr);
  EXPECT_THAT(answer.text,
              AllOf(HasSubstr("3:5: "), HasSubstr(file.string()), HasSubstr(GetParam().why)));
}

INSTANTIATE_TEST_SUITE_P(
    Loader, BadPlugin,
    testing::Values(
        Bad{"wrong_major",
            "exports sluice_plugin_v1: it was built for plugin ABI 1.x, this host speaks 0.1"},
        Bad{"wrong_minor", "was built for plugin ABI 0.7, this host speaks 0.1"},
        Bad{"null_policies", "no list of policies"}, Bad{"wild_pointer", "crashed while"},
        Bad{"unknown_inputs", "asks for inputs"}, Bad{"unknown_kind", "sluice.teapot/1"},
        Bad{"no_verb", "lacks the main function"},
        Bad{"bad_param", "outside its own bounds 1 .. 5"},
        Bad{"param_count", "has no table of them"}, Bad{"constructor_crashes", "crashed while"},
        Bad{"constructor_exits", "ended the process"},
        Bad{"undefined_symbol", "sluice_test_nobody_has_this"},
        Bad{"create_fails", "its create failed: the moon is in the wrong phase"},
        Bad{"create_silent", "gives no reason"},
        Bad{"create_throws", "threw an exception: out of cheese"},
        Bad{"state_throws", "its state_new threw an exception"},
        Bad{"state_fails", "its state_new failed: no room for 3 flows"},
        Bad{"pick_illegal", "its pick answered slot 1003"},
        Bad{"pick_blocked", "slot 1, which is not ready"}, Bad{"pick_none", "SLUICE_MAY_IDLE"},
        Bad{"pick_changes", "though nothing had happened"},
        Bad{"score_nan", "its score answered nan", Kind::kScoring, "com.example.fixture/nan"},
        Bad{"keys_overrun", "wrote behind", Kind::kOrdering, "com.example.fixture/overrun"},
        Bad{"bad_name", "the policy name \"First Come\"", Kind::kFairness,
            "com.example.fixture/First Come"}),
    [](const auto& bad) { return std::string(bad.param.fixture); });

TEST(Loader, AnImageThatFailedOnceIsNotLoadedAgainInItsPlace) {
  // The dynamic linker knows images by the name of their descriptor: a closed one must not be
  // mistaken for a new one.
  const TempDir dir;
  for (int round = 0; round < 3; ++round) {
    dir.put("create_fails", "a.so");
    EXPECT_EQ(resolve(dir.search(), use("com.example.fixture/first")).status, Status::kRefused);
    dir.put("good", "a.so");
    const Answer answer = resolve(dir.search(), use("com.example.fixture/first"));
    ASSERT_TRUE(answer.policy) << answer.text;
  }
}

TEST(Loader, AFailedFileSpoilsNothingForTheOthers) {
  const TempDir dir;
  for (const char* name :
       {"constructor_crashes", "constructor_exits", "wild_pointer", "no_entry", "wrong_minor"})
    dir.put(name, std::string(name) + ".so");
  dir.put(std::vector<uint8_t>{'j', 'u', 'n', 'k'}, "junk.so");
  dir.put("good", "z.so");
  const auto plugins = describe_all(dir.search());
  ASSERT_EQ(plugins.size(), 7U);
  EXPECT_EQ(std::count_if(plugins.begin(), plugins.end(),
                          [](const PluginInfo& p) { return p.refusal.has_value(); }),
            6);
  EXPECT_TRUE(resolve(dir.search(), use("com.example.fixture/first")).policy);
}

TEST(Loader, AHangingFileIsGivenUp) {
  PluginRegistry::instance().set_probe({"/proc/self/exe", std::chrono::milliseconds(500)});
  const TempDir dir;
  dir.put("constructor_hangs", "a.so");
  const PluginInfo info = describe_file(dir.path() / "a.so");
  PluginRegistry::instance().set_probe({});
  ASSERT_TRUE(info.refusal);
  EXPECT_EQ(info.refusal->why, "did not finish loading within 500 ms");
}

TEST(Loader, AProbeThatDoesNotAnswerIsTheHostsFault) {
  for (const char* program : {"/bin/false", "/nonexistent/program"}) {
    PluginRegistry::instance().set_probe({program, kProbeLimit});
    const TempDir dir;
    auto bytes = read_bytes(fixture("good"));
    bytes.insert(bytes.end(), program, program + 10);  // content that was never described
    dir.put(bytes, "a.so");
    const PluginInfo info = describe_file(dir.path() / "a.so");
    PluginRegistry::instance().set_probe({});
    ASSERT_TRUE(info.refusal) << program;
    EXPECT_THAT(info.refusal->why, HasSubstr("could not be described")) << program;
    EXPECT_FALSE(describe_file(dir.path() / "a.so").refusal)
        << "such a refusal must not be remembered";
  }
}

TEST(Loader, MutatedFilesNeverHarmTheHost) {
  const auto original = read_bytes(fixture("good"));
  const TempDir dir;
  uint64_t random = 88172645463325252ULL;
  for (int i = 0; i < 96; ++i) {
    auto bytes = original;
    for (int changes = 0; changes < 6; ++changes) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      bytes[random % std::min<size_t>(bytes.size(), 6000)] = static_cast<uint8_t>(random >> 32);
    }
    dir.put(bytes, "m" + std::to_string(i) + ".so");
  }
  for (const PluginInfo& plugin : describe_all(dir.search()))
    EXPECT_TRUE(plugin.refusal || !plugin.policies.empty()) << plugin.path;
}

TEST(Loader, TooManyImagesOfOnePackageNeedARestart) {
  // Under a package of their own, for the count lives as long as the process.
  auto bytes = read_bytes(fixture("good"));
  const std::string from = "com.example.fixture", to = "com.example.restart";
  const auto at = std::search(bytes.begin(), bytes.end(), from.begin(), from.end());
  ASSERT_NE(at, bytes.end());
  std::copy(to.begin(), to.end(), at);
  const TempDir dir;
  for (int i = 0; i <= kImagesPerPackageMax; ++i) {
    bytes.push_back(static_cast<uint8_t>(i));  // another content each time
    dir.put(bytes, "a.so");
    const Answer answer = resolve(dir.search(), use("com.example.restart/first"));
    if (i < kImagesPerPackageMax) {
      EXPECT_TRUE(answer.policy) << answer.text;
    } else {
      EXPECT_EQ(answer.status, Status::kRefused);
      EXPECT_THAT(answer.text, HasSubstr("restart Sluice"));
    }
  }
}

}  // namespace
}  // namespace sluice::plugins
