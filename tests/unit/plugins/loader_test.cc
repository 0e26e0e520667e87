#include "host/plugins/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

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
  diagnostics.set_source("pipeline.toml", "");
  Loader loader(path);
  std::vector<Loader::Resolved> all{loader.resolve(wanted, kind, diagnostics)};
  Status status = all[0].status;
  if (status == Status::kOk) status = loader.load(all, diagnostics);
  return {status, std::move(all[0].policy), text_of(diagnostics)};
}

// The content of a fixture under another package and policy name of the same length.
std::vector<uint8_t> renamed(std::vector<uint8_t> bytes, const std::string& from,
                             const std::string& to) {
  const auto at = std::search(bytes.begin(), bytes.end(), from.begin(), from.end());
  EXPECT_NE(at, bytes.end());
  if (at != bytes.end()) std::copy(to.begin(), to.end(), at);
  return bytes;
}

// Where the constructor of the fixture constructor_marks leaves a line for each process it ran in.
class Mark {
 public:
  explicit Mark(const TempDir& dir) : file_(dir.path() / "mark") {
    ::setenv("SLUICE_TEST_MARK", file_.c_str(), 1);
  }
  ~Mark() { ::unsetenv("SLUICE_TEST_MARK"); }
  bool anywhere() const { return fs::exists(file_); }
  bool here() const {
    const auto bytes = read_bytes(file_);
    return std::string(bytes.begin(), bytes.end()).find(std::to_string(::getpid()) + "\n") !=
           std::string::npos;
  }

 private:
  fs::path file_;
};

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
                                 HasSubstr("b.so is not an ELF file; see `sluice plugin list "
                                           "-c pipeline.toml`")));
}

TEST(Loader, AnUnknownNameShowsThreeRefusedFilesAndCountsTheOthers) {
  const TempDir dir;
  for (const char* name : {"a.so", "b.so", "c.so", "d.so", "e.so"})
    dir.put(std::vector<uint8_t>{'j', 'u', 'n', 'k'}, name);
  const Answer answer = resolve(dir.search(), use("com.example.fixture/other-thing"));
  EXPECT_THAT(answer.text, AllOf(HasSubstr("c.so is not an ELF file; 2 more are refused"),
                                 testing::Not(HasSubstr("d.so"))));
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
  std::vector<Loader::Resolved> all;
  for (const PluginInfo& plugin : plugins) {
    EXPECT_FALSE(plugin.refusal) << plugin.path << " " << plugin.refusal->why;
    for (const PolicyInfo& policy : plugin.policies)
      all.push_back(
          loader.resolve(use(plugin.package + "/" + policy.name), policy.kind, diagnostics));
  }
  EXPECT_EQ(loader.load(all, diagnostics), Status::kOk);
  for (const Loader::Resolved& one : all) EXPECT_TRUE(one.policy);
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
  const Mark mark(dir);
  const Answer answer = resolve(dir.search(), use("com.example.fixture/first"));
  EXPECT_TRUE(answer.policy) << answer.text;
  EXPECT_TRUE(mark.anywhere());
  EXPECT_FALSE(mark.here());
  EXPECT_TRUE(resolve(dir.search(), use("com.example.marks/first")).policy);
  EXPECT_TRUE(mark.here());
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
  const Mark mark(dir);
  auto wanted = use("com.example.marks/first");
  wanted.sha256 = std::string(64, '1');
  SearchPath path = dir.search();
  path.require_sha256 = true;
  path.pins = {wanted.sha256};
  const Answer wrong = resolve(path, wanted);
  EXPECT_EQ(wrong.status, Status::kRefused);
  EXPECT_THAT(wrong.text, AllOf(HasSubstr("no plugin file has the sha256 111"),
                                HasSubstr("com.example.marks/first is pinned to")));
  const Answer unpinned = resolve(path, use("com.example.marks/first"));
  EXPECT_EQ(unpinned.status, Status::kConfigError);
  EXPECT_EQ(unpinned.text, "");  // pipeline.toml's reader has said it
  EXPECT_FALSE(mark.anywhere());
}

TEST(Loader, ThePinnedFileIsKnownByItsHashThoughItIsRefused) {
  const TempDir dir;
  const fs::path file = dir.put("good", "b.so");
  dir.put("good_2", "a.so");  // mentions the same names, and means nothing
  auto wanted = use("com.example.fixture/first");
  wanted.sha256 = describe_file(file).sha256;
  TempDir::set_mode(file, 0666);
  SearchPath path = dir.search();
  path.require_sha256 = true;
  path.pins = {wanted.sha256};
  const Answer answer = resolve(path, wanted);
  EXPECT_EQ(answer.status, Status::kRefused);
  EXPECT_THAT(answer.text, AllOf(HasSubstr("is pinned to " + file.string() +
                                           ", which is refused: it is writable by everybody"),
                                 testing::Not(HasSubstr("a.so"))));
  TempDir::set_mode(file, 0644);
  const Answer good = resolve(path, wanted);
  EXPECT_TRUE(good.policy);
  EXPECT_EQ(good.text, "");
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
        Bad{"null_policies", "no list of policies"},
        Bad{"wild_pointer", "crashed during loading (signal 11, Segmentation fault)"},
        Bad{"unknown_inputs", "asks for inputs"}, Bad{"unknown_kind", "sluice.teapot/1"},
        Bad{"no_verb", "lacks the main function"},
        Bad{"bad_param", "outside its own bounds 1 .. 5"},
        Bad{"param_count", "has no table of them"},
        Bad{"constructor_crashes", "crashed during loading (signal 6, Aborted)"},
        Bad{"constructor_exits", "ended the process"},
        Bad{"undefined_symbol", "sluice_test_nobody_has_this"},
        Bad{"create_fails", "its create failed: the moon is in the wrong phase"},
        Bad{"create_silent", "gives no reason"},
        Bad{"create_crashes",
            "crashed during create or the self-check of com.example.fixture/first (signal 11"},
        Bad{"create_exits",
            "ended the process during create or the self-check of "
            "com.example.fixture/first (exit status 3)"},
        Bad{"pick_crashes",
            "crashed during create or the self-check of com.example.fixture/first (signal 6"},
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

TEST(Loader, ACreateThatHangsIsGivenUp) {
  PluginRegistry::instance().set_probe({"/proc/self/exe", std::chrono::milliseconds(500)});
  const TempDir dir;
  dir.put("create_hangs", "a.so");
  const Answer answer = resolve(dir.search(), use("com.example.fixture/first"));
  PluginRegistry::instance().set_probe({});
  EXPECT_EQ(answer.status, Status::kRefused);
  EXPECT_THAT(answer.text,
              HasSubstr("did not finish create or the self-check of com.example.fixture/first "
                        "within 500 ms"));
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
    EXPECT_THAT(info.refusal->why, HasSubstr("could not be examined")) << program;
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

// Names all of WANTED in one pipeline.
Status load_all(const SearchPath& path, const std::vector<std::string>& wanted, std::string& text) {
  config::Diagnostics diagnostics;
  Loader loader(path);
  std::vector<Loader::Resolved> all;
  for (const std::string& name : wanted)
    all.push_back(loader.resolve(use(name), Kind::kFairness, diagnostics));
  EXPECT_FALSE(diagnostics.has_errors());
  const Status status = loader.load(all, diagnostics);
  text = text_of(diagnostics);
  return status;
}

TEST(Loader, NothingIsLoadedIfOnePolicyFailsItsTrial) {
  const TempDir dir;
  auto bytes = read_bytes(fixture("constructor_marks"));
  bytes.push_back(1);  // content that is not in this process yet
  dir.put(bytes, "a.so");
  dir.put("create_crashes", "b.so");
  const Mark mark(dir);
  std::string text;
  EXPECT_EQ(load_all(dir.search(), {"com.example.marks/first", "com.example.fixture/first"}, text),
            Status::kRefused);
  EXPECT_THAT(text, HasSubstr("b.so is refused: it crashed during create"));
  EXPECT_FALSE(mark.here());
  dir.put("good", "b.so");
  EXPECT_EQ(load_all(dir.search(), {"com.example.marks/first", "com.example.fixture/first"}, text),
            Status::kOk)
      << text;
  EXPECT_TRUE(mark.here());
}

TEST(Loader, APackageMayHaveAnyNumberOfPolicies) {
  // As ours, whose every policy is a file: an upgrade of all must not count against each.
  const TempDir dir;
  const auto good =
      renamed(read_bytes(fixture("good")), "com.example.fixture", "com.example.upgrade");
  std::vector<std::string> names;
  for (int i = 0; i <= kImagesPerPolicyMax; ++i) {
    const std::string name(5, static_cast<char>('a' + i));
    dir.put(renamed(good, "first", name), name + ".so");
    names.push_back("com.example.upgrade/" + name);
  }
  std::string text;
  EXPECT_EQ(load_all(dir.search(), names, text), Status::kOk) << text;
}

TEST(Loader, TooManyFilesOfOnePolicyNeedARestartAndLoadNothing) {
  // Under a package of their own, for the count lives as long as the process.
  auto bytes = renamed(read_bytes(fixture("good")), "com.example.fixture", "com.example.restart");
  const TempDir dir;
  const Mark mark(dir);
  std::string text;
  for (int i = 0; i < kImagesPerPolicyMax; ++i) {
    bytes.push_back(static_cast<uint8_t>(i));  // another content each time
    dir.put(bytes, "a.so");
    EXPECT_EQ(load_all(dir.search(), {"com.example.restart/first"}, text), Status::kOk) << text;
  }
  EXPECT_EQ(load_all(dir.search(), {"com.example.restart/first"}, text), Status::kOk) << text;
  bytes.push_back(255);
  dir.put(bytes, "a.so");
  auto marks = read_bytes(fixture("constructor_marks"));
  marks.push_back(2);
  dir.put(marks, "b.so");
  EXPECT_EQ(load_all(dir.search(), {"com.example.marks/first", "com.example.restart/first"}, text),
            Status::kRefused);
  EXPECT_THAT(text, AllOf(HasSubstr("would be file number 17 with the fairness policy "
                                    "com.example.restart/first"),
                          HasSubstr("restart Sluice")));
  EXPECT_FALSE(mark.here());
}

}  // namespace
}  // namespace sluice::plugins
