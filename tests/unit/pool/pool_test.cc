#include "host/pool/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <thread>

#include "host/pool/pool_limits.h"
#include "tests/unit/pool/tiny_server.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr char kPage[] =
    "vllm:num_requests_waiting 2\nvllm:num_requests_running 5\ntemperature 40\n";

std::string models(const std::string& name) { return R"({"data":[{"id":")" + name + R"("}]})"; }

// What the engine was told.
struct FakeEngine : EnginePort {
  struct Endpoint {
    uint32_t limit;
    bool up;
  };
  void report_asked(uint32_t) override {}
  void set_endpoint(uint32_t slot, const EndpointLimits& limits, bool up) override {
    endpoints[slot] = {limits.requests, up};
    if (on_set) on_set(slot);
  }
  void remove_endpoint(uint32_t slot) override { endpoints.erase(slot); }
  bool endpoint_idle(uint32_t slot) override { return !busy.contains(slot); }
  void report(uint32_t slot, const EndpointReport& report) override { reports[slot] = report; }
  void set_class(ClassId id, const std::vector<uint32_t>& members) override {
    classes[id] = members;
  }
  void reclassify(const Scheduler::ClassOf&) override {}

  std::map<uint32_t, Endpoint> endpoints;
  std::set<uint32_t> busy;
  std::map<uint32_t, EndpointReport> reports;
  std::map<ClassId, std::vector<uint32_t>> classes;
  std::function<void(uint32_t)> on_set;
};

uint64_t length_hash(std::string_view text) { return text.size(); }

class PoolTest : public testing::Test {
 protected:
  PoolTest() {
    spdlog::set_level(spdlog::level::off);
    for (TinyServer* server : {&a, &b}) server->replies["/metrics"].body = kPage;
    a.replies["/v1/models"].body = models("ma");
    b.replies["/v1/models"].body = models("mb");
    settings.pool.scrape_interval_ns = 5'000'000;
    settings.hash = length_hash;
  }
  ~PoolTest() override {
    pool.stop();
    a.shut();
    b.shut();
    run_for(io, std::chrono::milliseconds(1));
  }

  static config::Endpoint endpoint(std::string name, uint16_t port,
                                   std::vector<std::string> names = {}) {
    config::Endpoint out;
    out.name = std::move(name);
    out.address = {"127.0.0.1", port, "127.0.0.1:" + std::to_string(port)};
    out.models = std::move(names);
    return out;
  }
  void list(std::vector<config::Endpoint> endpoints) {
    settings.pool.endpoints = std::move(endpoints);
    pool.configure(settings);
  }
  bool until(std::function<bool()> done) { return run_until(io, done); }
  bool settle() {
    return until([&] { return pool.settled(); });
  }
  EndpointStatus status(const std::string& name) {
    for (EndpointStatus& endpoint : pool.status().endpoints) {
      if (endpoint.name == name) return endpoint;
    }
    ADD_FAILURE() << "no endpoint " << name;
    return {};
  }
  // Members of the class of MODEL as the engine knows it.
  std::vector<uint32_t> may_serve(std::string_view model) {
    std::optional<ClassId> id = pool.class_for(model);
    if (!id) return {9999};
    EXPECT_TRUE(engine.classes.contains(*id));
    return engine.classes[*id];
  }
  void fail_requests(uint32_t slot) {
    for (uint32_t i = 0; i < kFailuresMax; i++) pool.failed(slot);
  }

  asio::io_context io;
  FakeEngine engine;
  TinyServer a{io}, b{io};
  PoolSettings settings;
  Pool pool{io, engine};
};

TEST_F(PoolTest, NewEndpointsAreResolvableBeforeTheEngineMayUseThem) {
  engine.on_set = [&](uint32_t slot) {
    ASSERT_NE(pool.at(slot), nullptr);
    EXPECT_THAT(engine.classes[0], testing::Contains(slot));
  };
  config::Endpoint limited = endpoint("b", b.port());
  limited.max_in_flight = 16;
  settings.pool.max_in_flight = 0;
  list({endpoint("a", a.port()), limited});
  EXPECT_EQ(engine.endpoints[0].limit, kNone) << "0 = no limit";
  EXPECT_EQ(engine.endpoints[1].limit, 16u);
  EXPECT_TRUE(engine.endpoints[0].up);
  EXPECT_EQ(pool.at(0)->authority, "127.0.0.1:" + std::to_string(a.port()));
  EXPECT_EQ(pool.at(1)->name, "b");
  EXPECT_EQ(pool.at(2), nullptr);
  EXPECT_EQ(pool.at(UINT32_MAX), nullptr);
}

TEST_F(PoolTest, LearnsModelsAndLoad) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  EXPECT_THAT(may_serve("ma"), ElementsAre(0, 1)) << "unknown = all";
  ASSERT_TRUE(settle());
  EXPECT_THAT(may_serve("ma"), ElementsAre(0));
  EXPECT_THAT(may_serve("mb"), ElementsAre(1));
  EXPECT_EQ(pool.class_for("other"), std::nullopt);
  EXPECT_THAT(pool.models(), ElementsAre("ma", "mb"));
  EXPECT_EQ(engine.reports[0].waiting, 2u);
  EXPECT_EQ(engine.reports[1].running, 5u);
  EXPECT_EQ(status("a").running, 5u);
  EXPECT_TRUE(status("a").models_known);
  EXPECT_GE(status("a").scrapes_good, 1u);
}

TEST_F(PoolTest, AnEmptyPoolParksEverythingAndSettles) {
  list({});
  EXPECT_TRUE(pool.settled());
  EXPECT_EQ(pool.class_for("m"), ModelClasses::kOthers);
  EXPECT_TRUE(engine.classes.contains(ModelClasses::kOthers));
  EXPECT_EQ(pool.any(), std::nullopt);
}

TEST_F(PoolTest, ConfiguredModelsAreBelieved) {
  list({endpoint("a", a.port(), {"llama-*", "x"})});
  ASSERT_TRUE(settle());
  EXPECT_THAT(may_serve("llama-3"), ElementsAre(0));
  EXPECT_EQ(pool.class_for("ma"), std::nullopt);
  EXPECT_EQ(a.requests["/v1/models"], 0u);
}

TEST_F(PoolTest, AdaptersInTheMetricsAreServedFromThenOn) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  ASSERT_TRUE(settle());
  EXPECT_EQ(pool.class_for("lora"), std::nullopt);
  a.replies["/metrics"].body += "vllm:lora_requests_info{running_lora_adapters=\"lora\"} 1\n";
  ASSERT_TRUE(until([&] { return pool.class_for("lora").has_value(); }));
  EXPECT_THAT(may_serve("lora"), ElementsAre(0));
  a.replies["/metrics"].body = kPage;  // idle now, still loaded
  const uint64_t scrapes = status("a").scrapes_good;
  ASSERT_TRUE(until([&] { return status("a").scrapes_good > scrapes + 1; }));
  EXPECT_THAT(may_serve("lora"), ElementsAre(0));
}

TEST_F(PoolTest, RotatesOverEndpointsThatAreUp) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  EXPECT_THAT((std::vector{*pool.any(), *pool.any()}), UnorderedElementsAre(0, 1));
}

TEST_F(PoolTest, AnEndpointThatComesBackTakesOneRequestAtATimeUntilOneSucceeds) {
  settings.pool.max_in_flight = 8;
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  EXPECT_EQ(engine.endpoints[0].limit, 8u);
  a.shut();
  ASSERT_TRUE(until([&] { return !engine.endpoints[0].up; }));
  a.open();
  ASSERT_TRUE(until([&] { return engine.endpoints[0].up; }));
  EXPECT_EQ(engine.endpoints[0].limit, 1u);
  config::Endpoint larger = endpoint("a", a.port());
  larger.max_in_flight = 16;
  list({larger});
  EXPECT_EQ(engine.endpoints[0].limit, 1u) << "a reload proves nothing";
  pool.succeeded(0);
  EXPECT_TRUE(until([&] { return engine.endpoints[0].limit == 16; }));
}

TEST_F(PoolTest, ScrapesDoNotBringBackWhatRequestsEjected) {
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  fail_requests(0);
  ASSERT_TRUE(until([&] { return !engine.endpoints[0].up; }));
  const uint64_t scrapes = status("a").scrapes_good;
  ASSERT_TRUE(until([&] { return engine.endpoints[0].up; }));
  EXPECT_GT(status("a").scrapes_good, scrapes + 3) << "scrapes that were no proof";
}

TEST_F(PoolTest, StaleMetricsAreTakenBackFromTheEngine) {
  settings.pool.stale_after_ns = 50'000'000;
  settings.columns = {{EndpointColumn::Kind::kMetric, "temperature", -1, 0},
                      {EndpointColumn::Kind::kLabelHash, "zone", 0, 77}};
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  ASSERT_TRUE(until([&] { return engine.reports[0].waiting == 2; }));
  a.replies["/metrics"].status = 404;
  ASSERT_TRUE(until([&] { return engine.reports[0].taken_ns == 0; }));
  EXPECT_EQ(engine.reports[0].waiting, 0u);
  EXPECT_THAT(engine.reports[0].ints, ElementsAre(77)) << "a label does not age";
  EXPECT_THAT(engine.reports[0].floats, ElementsAre(-1));
  EXPECT_TRUE(engine.endpoints[0].up);
  EXPECT_EQ(status("a").waiting, 2u) << "people are told the last that was seen, and how old it is";
  list({endpoint("a", a.port())});
  EXPECT_EQ(engine.reports[0].taken_ns, 0u) << "a reload does not make it fresh";
  a.replies["/metrics"].status = 200;
  EXPECT_TRUE(until([&] { return engine.reports[0].waiting == 2; }));
}

TEST_F(PoolTest, MetricsThatComeLateAreNotStale) {
  settings.pool.stale_after_ns = 50'000'000;
  a.replies["/metrics"].delay = std::chrono::milliseconds(80);
  list({endpoint("a", a.port())});
  ASSERT_TRUE(until([&] { return engine.reports[0].waiting == 2; }));
  ASSERT_TRUE(until([&] {
    EXPECT_NE(engine.reports[0].taken_ns, 0u);
    EXPECT_FALSE(status("a").metrics_stale);
    return status("a").scrapes_good >= 4 || HasFailure();
  }));
}

TEST_F(PoolTest, AnEndpointRestartedWithoutItsAdaptersGetsNoRequestsForThem) {
  a.replies["/metrics"].body += "vllm:lora_requests_info{running_lora_adapters=\"lora\"} 1\n";
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  ASSERT_TRUE(until([&] { return may_serve("lora") == std::vector<uint32_t>{0}; }));
  a.shut();
  ASSERT_TRUE(until([&] { return !engine.endpoints[0].up; }));
  a.replies["/metrics"].body = kPage;
  a.open();
  ASSERT_TRUE(until([&] { return engine.endpoints[0].up; }));
  EXPECT_THAT(may_serve("lora"), IsEmpty());
}

TEST_F(PoolTest, FailingRequestsEjectAndAGoodScrapeBringsBack) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  ASSERT_TRUE(settle());
  a.shut();
  fail_requests(0);
  ASSERT_TRUE(until([&] { return !engine.endpoints[0].up; }));
  EXPECT_EQ(pool.any(), 1u);
  EXPECT_EQ(pool.any(), 1u);
  EXPECT_EQ(status("a").health, Health::State::kEjected);
  EXPECT_TRUE(engine.endpoints[1].up);
  a.replies["/v1/models"].body = models("other");  // restarted with another model
  a.open();
  ASSERT_TRUE(until([&] { return engine.endpoints[0].up; }));
  ASSERT_TRUE(until([&] { return may_serve("other") == std::vector<uint32_t>{0}; }));
  EXPECT_THAT(may_serve("ma"), IsEmpty()) << "a known name without endpoints waits";
  EXPECT_EQ(status("a").health, Health::State::kProbation);
  pool.succeeded(0);
  EXPECT_TRUE(until([&] { return status("a").health == Health::State::kUp; }));
  EXPECT_EQ(status("a").ejections, 1u);
}

TEST_F(PoolTest, AServerThatRefusesScrapesIsEjectedWithoutAnyRequest) {
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  a.shut();
  EXPECT_TRUE(until([&] { return !engine.endpoints[0].up; }));
  EXPECT_EQ(pool.any(), std::nullopt);
}

TEST_F(PoolTest, MissingOrHangingMetricsNeverEject) {
  a.replies["/metrics"].status = 404;
  b.replies["/metrics"].hang = true;
  settings.pool.stale_after_ns = 20'000'000;
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  ASSERT_TRUE(settle());
  ASSERT_TRUE(until([&] { return status("a").scrapes_missed[2] > 10; }));
  EXPECT_TRUE(engine.endpoints[0].up);
  EXPECT_TRUE(engine.endpoints[1].up);
  EXPECT_TRUE(status("a").metrics_stale);
  EXPECT_TRUE(status("b").metrics_stale);
  EXPECT_THAT(may_serve("ma"), ElementsAre(0)) << "models are learnt without metrics";
}

TEST_F(PoolTest, SuccessesBetweenFailuresKeepAnEndpoint) {
  list({endpoint("a", a.port())});
  ASSERT_TRUE(settle());
  for (int i = 0; i < 10; i++) {
    pool.failed(0);
    pool.failed(0);
    pool.succeeded(0);
  }
  ASSERT_TRUE(until([&] { return io.poll() == 0 || status("a").failures == 0; }));
  EXPECT_EQ(status("a").ejections, 0u);
}

TEST_F(PoolTest, ReloadKeepsSlotsAndTellsOnlyWhatChanged) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  ASSERT_TRUE(settle());
  engine.on_set = [](uint32_t slot) { FAIL() << slot; };
  list({endpoint("b", b.port()), endpoint("a", a.port())});
  EXPECT_EQ(pool.at(0)->name, "a");
  EXPECT_THAT(may_serve("ma"), ElementsAre(0)) << "what was learnt stays";
  engine.on_set = nullptr;
  config::Endpoint changed = endpoint("a", a.port());
  changed.max_in_flight = 3;
  list({changed, endpoint("b", b.port())});
  EXPECT_EQ(engine.endpoints[0].limit, 3u);
}

TEST_F(PoolTest, ARemovedEndpointStaysResolvableAndItsSlotRests) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  ASSERT_TRUE(settle());
  const std::optional<ClassId> ma = pool.class_for("ma");
  list({endpoint("b", b.port())});
  EXPECT_FALSE(engine.endpoints.contains(0));
  EXPECT_EQ(pool.at(0)->name, "a") << "what is in flight there must still find it";
  EXPECT_EQ(pool.any(), 1u);
  EXPECT_EQ(pool.class_for("ma"), ma);
  EXPECT_THAT(may_serve("ma"), IsEmpty());
  fail_requests(0);  // late news of the removed one
  pool.succeeded(0);
  io.poll();

  list({endpoint("b", b.port()), endpoint("c", 1)});
  EXPECT_EQ(pool.at(2)->name, "c") << "slot 0 rests";
  engine.busy.insert(0);
  list({endpoint("b", b.port()), endpoint("c", 1), endpoint("a", a.port())});
  EXPECT_TRUE(engine.endpoints.contains(0)) << "the same endpoint finds its own slot";
  EXPECT_EQ(pool.status().endpoints.size(), 3u);
}

TEST_F(PoolTest, ReplacingAllEndpointsNeverLeavesTheEngineWithoutAny) {
  list({endpoint("a", a.port())});
  size_t fewest = 99;
  engine.on_set = [&](uint32_t) { fewest = std::min(fewest, engine.endpoints.size()); };
  list({endpoint("b", b.port())});
  EXPECT_EQ(fewest, 2u) << "the new one came before the old one went";
  EXPECT_EQ(engine.endpoints.size(), 1u);
}

TEST_F(PoolTest, AnotherAddressIsAnotherEndpoint) {
  list({endpoint("a", a.port())});
  list({endpoint("a", b.port())});
  EXPECT_FALSE(engine.endpoints.contains(0));
  EXPECT_TRUE(engine.endpoints.contains(1));
  EXPECT_EQ(pool.at(1)->port, b.port());
}

TEST_F(PoolTest, MoreEndpointsThanSlotsAreLeftOutAndCounted) {
  std::vector<config::Endpoint> many;
  for (uint32_t i = 0; i < kEndpointsMax + 5; i++)
    many.push_back(endpoint("e" + std::to_string(i), 1, {"m"}));
  settings.pool.scrape_interval_ns = 3'600'000'000'000;
  list(many);
  EXPECT_EQ(engine.endpoints.size(), kEndpointsMax);
  EXPECT_EQ(pool.status().endpoints_left_out, 5u);
}

TEST_F(PoolTest, DuplicateNamesAreLeftOut) {
  list({endpoint("a", a.port()), endpoint("a", b.port())});
  EXPECT_EQ(engine.endpoints.size(), 1u);
  EXPECT_EQ(pool.at(0)->port, a.port());
}

TEST_F(PoolTest, DeclaredColumnsAreFilledFromLabelsAtOnceAndFromMetricsWhenScraped) {
  settings.columns = {{EndpointColumn::Kind::kMetric, "temperature", -1, 0},
                      {EndpointColumn::Kind::kLabelHash, "zone", 0, 77},
                      {EndpointColumn::Kind::kLabelHash, "rack", 0, 88}};
  config::Endpoint labelled = endpoint("a", a.port());
  labelled.labels = {{"zone", "west"}};
  list({labelled});
  EXPECT_THAT(engine.reports[0].ints, ElementsAre(4, 88));
  EXPECT_THAT(engine.reports[0].floats, ElementsAre(-1));
  EXPECT_EQ(engine.reports[0].taken_ns, 0u);
  ASSERT_TRUE(settle());
  EXPECT_THAT(engine.reports[0].ints, ElementsAre(4, 88));
  EXPECT_THAT(engine.reports[0].floats, ElementsAre(40));
  EXPECT_EQ(engine.reports[0].waiting, 2u);

  settings.columns.erase(settings.columns.begin(), settings.columns.begin() + 2);
  list({labelled});
  EXPECT_THAT(engine.reports[0].ints, ElementsAre(88)) << "columns of another pipeline, at once";
  EXPECT_THAT(engine.reports[0].floats, IsEmpty());
}

TEST_F(PoolTest, TransportsMayAskAndTellFromOtherThreads) {
  list({endpoint("a", a.port()), endpoint("b", b.port())});
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&, i] {
      for (uint32_t n = 0; !stop; n++) {
        if (auto slot = pool.any()) {
          ASSERT_NE(pool.at(*slot), nullptr);
          n % 7 == 0 ? pool.failed(*slot) : pool.succeeded(*slot);
        }
        (void)pool.class_for(i ? "ma" : "mb");
        (void)pool.models();
        std::this_thread::yield();
      }
    });
  }
  for (int round = 0; round < 20; round++) {
    list(round % 2 ? std::vector{endpoint("a", a.port()), endpoint("b", b.port())}
                   : std::vector{endpoint("a", a.port())});
    run_for(io, std::chrono::milliseconds(10));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(settle());
}

class PoolFileTest : public PoolTest {
 protected:
  PoolFileTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "sluice-pool-XXXXXX";
    directory = mkdtemp(pattern.data());
    settings.pool.endpoints_file = directory / "endpoints.toml";
  }
  ~PoolFileTest() override { std::filesystem::remove_all(directory); }

  void write(std::vector<std::pair<std::string, uint16_t>> endpoints) {
    std::string text;
    for (const auto& [name, port] : endpoints) {
      text += "[[endpoints]]\nname = \"" + name +
              "\"\naddress = \"127.0.0.1:" + std::to_string(port) + "\"\n";
    }
    write_text(text);
  }
  void write_text(const std::string& text) {
    std::ofstream(directory / "new") << text;
    std::filesystem::rename(directory / "new", settings.pool.endpoints_file);
  }

  std::filesystem::path directory;
};

TEST_F(PoolFileTest, EndpointsComeAndGoWithTheFile) {
  write({{"b", b.port()}});
  list({endpoint("a", a.port())});
  EXPECT_EQ(engine.endpoints.size(), 2u);
  write({});
  ASSERT_TRUE(until([&] { return engine.endpoints.size() == 1; }));
  EXPECT_EQ(pool.at(0)->name, "a");
  write({{"b", b.port()}, {"c", 1}});
  ASSERT_TRUE(until([&] { return engine.endpoints.size() == 3; }));
  EXPECT_EQ(pool.status().file_reads_good, 3u);
  EXPECT_EQ(pool.status().file_reads_bad, 0u);
}

TEST_F(PoolFileTest, ABadFileKeepsTheOldSet) {
  write({{"b", b.port()}});
  list({});
  ASSERT_EQ(engine.endpoints.size(), 1u);
  for (const char* bad :
       {"[[endpoints]\n", "[[endpoints]]\nname = 7\n", "[[endpoints]]\nname = \"x\"\n"}) {
    const uint64_t before = pool.status().file_reads_bad;
    write_text(bad);
    ASSERT_TRUE(until([&] { return pool.status().file_reads_bad == before + 1; })) << bad;
    EXPECT_EQ(engine.endpoints.size(), 1u);
  }
  std::filesystem::remove(settings.pool.endpoints_file);
  ASSERT_TRUE(until([&] { return pool.status().file_reads_bad == 4; }));
  EXPECT_EQ(engine.endpoints.size(), 1u);
}

TEST_F(PoolFileTest, AFileThatIsNotThereYetIsWaitedFor) {
  list({endpoint("a", a.port())});
  EXPECT_EQ(engine.endpoints.size(), 1u);
  EXPECT_EQ(pool.status().file_reads_bad, 1u);
  write({{"b", b.port()}});
  EXPECT_TRUE(until([&] { return engine.endpoints.size() == 2; }));
}

TEST_F(PoolFileTest, AReloadWithoutTheFileForgetsItsEndpoints) {
  write({{"b", b.port()}});
  list({endpoint("a", a.port())});
  settings.pool.endpoints_file.clear();
  list({endpoint("a", a.port())});
  EXPECT_EQ(engine.endpoints.size(), 1u);
}

}  // namespace
}  // namespace sluice
