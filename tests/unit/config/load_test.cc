// What comes from the disk: pipeline.toml, endpoints files, the examples in conf/, and files that
// are none of these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/config/config.h"
#include "host/config/limits.h"

namespace sluice::config {
namespace {

namespace fs = std::filesystem;

// A directory of its own for one test.
class Load : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("sluice-load-" + std::to_string(getpid()));
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return directory_ / name;
  }
  // The answer to a file that is wrong as a whole, without its name.
  std::string refusal(const fs::path& file) {
    Diagnostics diagnostics;
    EXPECT_FALSE(load(file, diagnostics));
    const std::string out = diagnostics.render();
    EXPECT_TRUE(out.starts_with(file.string())) << out;
    return out.substr(std::min(out.size(), file.string().size()));
  }

  fs::path directory_;
};

constexpr const char* kSmall = R"(schema = 1
listen.http = {}
pool.endpoints = [ { name = "a", address = "127.0.0.1:8101" } ]
)";

TEST_F(Load, ReadsAFile) {
  Diagnostics diagnostics;
  const auto config = load(write("p.toml", kSmall), diagnostics);
  ASSERT_TRUE(config) << diagnostics.render();
  EXPECT_EQ(config->pool.endpoints[0].name, "a");
  EXPECT_TRUE(config->plugin_directories.empty());
}

TEST_F(Load, FindsThePluginsDirectoryBesideIt) {
  fs::create_directory(directory_ / "plugins");
  Diagnostics diagnostics;
  const auto config = load(write("p.toml", kSmall), diagnostics);
  ASSERT_TRUE(config) << diagnostics.render();
  EXPECT_THAT(config->plugin_directories, testing::ElementsAre(directory_ / "plugins"));
}

TEST_F(Load, TakesByteOrderMarkAndCarriageReturns) {
  std::string text = "\xef\xbb\xbf" + std::string(kSmall);
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
    text.insert(at, 1, '\r');
  }
  Diagnostics diagnostics;
  EXPECT_TRUE(load(write("p.toml", text), diagnostics)) << diagnostics.render();
}

TEST_F(Load, SaysWhyThereIsNoFile) {
  EXPECT_EQ(refusal(directory_ / "absent.toml"),
            ": error: the file cannot be read: No such file or directory\n");
  EXPECT_EQ(refusal(directory_), ": error: this is a directory, not a file\n");
}

TEST_F(Load, RefusesWhatIsNoText) {
  EXPECT_EQ(refusal(write("p.toml", "schema = 1\nname = \"\xff\"\n")),
            ":2:9: error: the file is not valid UTF-8 here\n"
            "    2 | name = \"\xef\xbf\xbd\"\n      |         ^\n      hint: save it as UTF-8\n");
  EXPECT_TRUE(refusal(write("p.toml", std::string("schema = 1\0\n", 12))).starts_with(":1:11: "));
  EXPECT_TRUE(refusal("/proc/self/exe").starts_with(": error: the file is larger than 4 MiB") ||
              refusal("/proc/self/exe").starts_with(":1:1: error: "));
}

TEST_F(Load, RefusesHugeFilesAndDeepNesting) {
  EXPECT_EQ(refusal(write("p.toml", std::string(kFileBytesMax + 1, '\n'))),
            ": error: the file is larger than 4 MiB\n      hint: is it the right file?\n");
  std::string keys, arrays = "a = ";
  for (int i = 0; i < 1'000'000; i++) keys += "a.";
  for (int i = 0; i < 1'000'000; i++) arrays += "[";
  const std::vector<std::string> texts = {
      keys + "a = 1\n",
      "[" + keys + "a]\n",
      arrays,
      "x = \"\"\"\n\"\"\"\n" + keys + "a = 1\n",
      "x = [\"\"\"a\"\"\"\", { " + keys + "a = 1 }]\n",
      "x = ['a\\', { " + keys + "a = 1 }]\n",
      "'#' = { " + keys + "a = 1 }\n",
  };
  for (const std::string& text : texts) {
    EXPECT_NE(refusal(write("p.toml", text)).find("more than 16 levels of nesting"),
              std::string::npos);
  }
}

TEST_F(Load, DoesNotTakeTextForNesting) {
  const std::string deep(100, '[');
  std::string dots;
  for (int i = 0; i < 100; i++) dots += "a.";
  const std::string text = deep + dots;
  Diagnostics diagnostics;
  load(write("p.toml", std::string(kSmall) + "# " + text + "\nlog.decisions = '" + text + "\"'\n" +
                           "objective = [ { name = \"" + text + "\\\"" + text +
                           "\" }, { name = \"\"\"\n" + text + "\"\"\" } ]\n"),
       diagnostics);
  EXPECT_EQ(diagnostics.render().find("nesting"), std::string::npos) << diagnostics.render();
  EXPECT_EQ(diagnostics.render().find("not valid TOML"), std::string::npos) << diagnostics.render();
}

TEST_F(Load, ReadsEndpointsFromAFileOfTheirOwn) {
  Diagnostics diagnostics;
  const auto endpoints = load_endpoints(write("e.toml", R"(
[[endpoints]]
name = "a"
address = "127.0.0.1:8101"
[[pool.endpoints]]
name = "b"
address = "[::1]:8101"
models = ["m"]
max_in_flight = 3
)"),
                                        diagnostics);
  ASSERT_TRUE(endpoints) << diagnostics.render();
  ASSERT_EQ(endpoints->size(), 2U);
  EXPECT_EQ((*endpoints)[0].name, "a");
  EXPECT_EQ((*endpoints)[1].max_in_flight, 3U);
}

TEST_F(Load, TakesAnEmptyEndpointsFileForAnEmptyPool) {
  Diagnostics diagnostics;
  const auto endpoints = load_endpoints(write("e.toml", "# none today\n"), diagnostics);
  ASSERT_TRUE(endpoints) << diagnostics.render();
  EXPECT_TRUE(endpoints->empty());
}

TEST_F(Load, ChecksEndpointsFilesAsStrictly) {
  Diagnostics diagnostics;
  EXPECT_FALSE(load_endpoints(write("e.toml", R"([[endpoints]]
name = "a"
address = "127.0.0.1:8101"
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:8101"
weight = 2
[endpoint]
)"),
                              diagnostics));
  std::vector<uint32_t> lines;
  for (const Diagnostic& diagnostic : diagnostics.all()) lines.push_back(diagnostic.at.line);
  EXPECT_THAT(lines, testing::UnorderedElementsAre(5, 6, 7, 8));
  Diagnostics absent;
  EXPECT_FALSE(load_endpoints(directory_ / "absent.toml", absent));
  EXPECT_TRUE(absent.has_errors());
}

TEST(Examples, LoadWithoutAComplaint) {
  size_t loaded = 0;
  for (const auto& entry : fs::directory_iterator(SLUICE_SOURCE_DIR "/conf")) {
    if (entry.path().extension() != ".toml") continue;
    Diagnostics diagnostics;
    EXPECT_TRUE(load(entry.path(), diagnostics)) << diagnostics.render();
    if (entry.path().filename() != "full.toml") {
      EXPECT_EQ(diagnostics.render(), "");
    }
    loaded++;
  }
  EXPECT_GE(loaded, 3U);
}

// full.toml claims to show the defaults.
TEST(Examples, FullShowsTheDefaults) {
  Diagnostics diagnostics;
  const auto full = load(SLUICE_SOURCE_DIR "/conf/full.toml", diagnostics);
  const auto bare = parse(std::string(kSmall) + "[[band]]\nname = \"default\"\n[admin]\n",
                          SLUICE_SOURCE_DIR "/conf/bare.toml", diagnostics);
  ASSERT_TRUE(full && bare) << diagnostics.render();
  EXPECT_EQ(full->http->address.text, bare->http->address.text);
  EXPECT_EQ(full->http->max_header, bare->http->max_header);
  EXPECT_EQ(full->http->max_body, bare->http->max_body);
  EXPECT_EQ(full->http->header_timeout_ns, bare->http->header_timeout_ns);
  EXPECT_EQ(full->http->body_timeout_ns, bare->http->body_timeout_ns);
  EXPECT_EQ(full->http->error_format, bare->http->error_format);
  EXPECT_EQ(full->http->expose_endpoint, bare->http->expose_endpoint);
  EXPECT_EQ(full->admin->text, bare->admin->text);
  EXPECT_EQ(full->plugin_directories, bare->plugin_directories);
  EXPECT_EQ(full->require_sha256, bare->require_sha256);
  EXPECT_EQ(full->pool.max_in_flight, bare->pool.max_in_flight);
  EXPECT_EQ(full->pool.engine, bare->pool.engine);
  EXPECT_EQ(full->pool.scrape_path, bare->pool.scrape_path);
  EXPECT_EQ(full->pool.scrape_interval_ns, bare->pool.scrape_interval_ns);
  EXPECT_EQ(full->pool.stale_after_ns, bare->pool.stale_after_ns);
  EXPECT_EQ(full->upstream.connect_timeout_ns, bare->upstream.connect_timeout_ns);
  EXPECT_EQ(full->upstream.idle_timeout_ns, bare->upstream.idle_timeout_ns);
  EXPECT_EQ(full->upstream.retries, bare->upstream.retries);
  EXPECT_EQ(full->flow_key.size(), bare->flow_key.size());
  EXPECT_EQ(full->max_flows, bare->max_flows);
  EXPECT_EQ(full->flow_idle_ttl_ns, bare->flow_idle_ttl_ns);
  EXPECT_EQ(full->trust[0].from, bare->trust[0].from);
  EXPECT_EQ(full->trust[0].headers, bare->trust[0].headers);
  EXPECT_EQ(full->cost.output, bare->cost.output);
  EXPECT_EQ(full->cost.cached, bare->cost.cached);
  EXPECT_EQ(full->log_level, bare->log_level);
  EXPECT_EQ(full->log_format, bare->log_format);
  EXPECT_EQ(full->max_requests, bare->max_requests);
  EXPECT_EQ(full->max_bytes, bare->max_bytes);
  EXPECT_EQ(full->drain_grace_ns, bare->drain_grace_ns);
  EXPECT_EQ(full->drain_deadline_ns, bare->drain_deadline_ns);
  EXPECT_EQ(full->picker, bare->picker);
  ASSERT_EQ(full->bands.size(), 1U);
  const Band &a = full->bands[0], &b = bare->bands[0];
  EXPECT_EQ(a.limits.priority, b.limits.priority);
  EXPECT_EQ(a.limits.ttl_ns, b.limits.ttl_ns);
  EXPECT_EQ(a.limits.no_endpoint_ttl_ns, b.limits.no_endpoint_ttl_ns);
  EXPECT_EQ(a.limits.requests_max, b.limits.requests_max);
  EXPECT_EQ(a.limits.bytes_max, b.limits.bytes_max);
  EXPECT_EQ(a.limits.requests_per_flow_max, b.limits.requests_per_flow_max);
  EXPECT_EQ(a.limits.hold_when_blocked, b.limits.hold_when_blocked);
  EXPECT_EQ(a.limits.ceiling, b.limits.ceiling);
  EXPECT_EQ(a.ordering.full_name(), b.ordering.full_name());
  EXPECT_EQ(a.fairness.full_name(), b.fairness.full_name());
  EXPECT_EQ(a.eviction.full_name(), b.eviction.full_name());
  ASSERT_EQ(full->scorers.size(), bare->scorers.size());
  for (size_t i = 0; i < full->scorers.size(); i++) {
    EXPECT_EQ(full->scorers[i].use.full_name(), bare->scorers[i].use.full_name());
    EXPECT_EQ(full->scorers[i].weight, bare->scorers[i].weight);
  }
}

}  // namespace
}  // namespace sluice::config
