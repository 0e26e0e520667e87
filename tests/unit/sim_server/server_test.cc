#include "host/sim_server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/unit/sim_server/client.h"

namespace sluice::sim_server {
namespace {

using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kLong = 600'000 * kMs;  // a wait that no test sits out
constexpr std::string_view kChat = "/v1/chat/completions";

std::string chat(int tokens, bool stream = false, bool usage = false) {
  return R"({"messages":[{"role":"user","content":"0123456789abcdef"}],"max_tokens":)" +
         std::to_string(tokens) + R"(,"stream":)" + (stream ? "true" : "false") +
         (usage ? R"(,"stream_options":{"include_usage":true}})" : "}");
}

size_t count(std::string_view text, std::string_view what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; ++at) ++n;
  return n;
}

class SimServerTest : public testing::Test {
 protected:
  SimServerTest() {
    options_.settings.time_to_first_token_ns = 5 * kMs;
    options_.settings.inter_token_latency_ns = 1 * kMs;
  }

  void start() {
    server_ = std::make_unique<SimServerThread>(options_);
    const ErrorCode error = server_->start();
    ASSERT_FALSE(error) << error.message();
  }

  // Waits until the server's counts are as CONDITION wants them.
  template <typename Condition>
  testing::AssertionResult soon(Condition condition) {
    const auto deadline = Clock::now() + std::chrono::seconds(kPatienceSeconds);
    while (!condition(server_->stats())) {
      if (Clock::now() > deadline) return testing::AssertionFailure() << "never came true";
      std::this_thread::yield();
    }
    return testing::AssertionSuccess();
  }

  http::response<http::string_body> ask(std::string_view path, std::string_view body) {
    Client client(server_->port());
    client.post(path, body);
    return client.answer();
  }

  SimServerOptions options_;
  std::unique_ptr<SimServerThread> server_;
};

TEST_F(SimServerTest, AnswersWithExactlyTheTokensAskedForAndNotBeforeTheirTime) {
  start();
  const auto begin = Clock::now();
  const auto answer = ask(kChat, chat(7));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(5 + 6));
  EXPECT_EQ(answer.result_int(), 200u);
  const auto json = nlohmann::json::parse(answer.body());
  EXPECT_EQ(json["usage"]["completion_tokens"], 7);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(answer["x-sim-server"], "sim-model:" + std::to_string(server_->port()));
}

TEST_F(SimServerTest, StreamsOneEventATokenThenUsageThenDone) {
  start();
  const auto answer = ask(kChat, chat(7, true, true));
  EXPECT_EQ(answer["content-type"], "text/event-stream; charset=utf-8");
  EXPECT_EQ(count(answer.body(), "data: "), 7u + 2);
  EXPECT_THAT(answer.body(), HasSubstr(R"("completion_tokens":7)"));
  EXPECT_TRUE(answer.body().ends_with("data: [DONE]\n\n"));
}

TEST_F(SimServerTest, StreamsBeforeTheAnswerIsComplete) {
  options_.settings.inter_token_latency_ns = kLong;
  start();
  Client client(server_->port());
  client.post(kChat, chat(2, true));
  EXPECT_THAT(client.read_until("\n\n"), HasSubstr("assistant"));
  EXPECT_EQ(server_->stats().running, 1u);
}

TEST_F(SimServerTest, ServesTheOtherApis) {
  start();
  EXPECT_THAT(ask("/v1/completions", R"({"prompt":"a","max_tokens":2})").body(),
              HasSubstr("text_completion"));
  EXPECT_THAT(ask("/v1/responses", R"({"input":"a","max_output_tokens":2})").body(),
              HasSubstr(R"("object":"response")"));
  EXPECT_THAT(ask("/v1/embeddings", R"({"input":["a","b"]})").body(), HasSubstr("embedding"));
  EXPECT_EQ(server_->stats().generation_tokens, 4u);  // an embedding generates none
  Client client(server_->port());
  client.get("/v1/models");
  EXPECT_THAT(client.answer().body(), HasSubstr(R"("id":"sim-model")"));
  client.get("/health");
  EXPECT_EQ(client.answer().result_int(), 200u);
  client.get("/v1/chat/completions");
  EXPECT_EQ(client.answer().result_int(), 405u);
  client.get("/nothing");
  EXPECT_EQ(client.answer().result_int(), 404u);
}

TEST_F(SimServerTest, ServesEveryModelItIsGivenAndNoOther) {
  options_.models = {"one", "two"};
  start();
  EXPECT_EQ(ask(kChat, R"({"model":"two","messages":[],"max_tokens":1})").result_int(), 200u);
  EXPECT_EQ(ask(kChat, R"({"model":"six","messages":[],"max_tokens":1})").result_int(), 404u);
}

TEST_F(SimServerTest, ANewRequestMayFollowOnTheSameConnection) {
  start();
  Client client(server_->port());
  for (int i = 1; i <= 3; ++i) {
    client.post(kChat, chat(i, i % 2 == 1));
    EXPECT_EQ(client.answer().result_int(), 200u);
  }
}

TEST_F(SimServerTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  Client client(server_->port());
  client.post(kChat, chat(3));
  client.post(kChat, chat(1));
  client.get("/health");
  EXPECT_THAT(client.answer().body(), HasSubstr(R"("completion_tokens":3)"));
  EXPECT_THAT(client.answer().body(), HasSubstr(R"("completion_tokens":1)"));
  EXPECT_EQ(client.answer().result_int(), 200u);
}

TEST_F(SimServerTest, NeverRunsMoreThanItsSlots) {
  options_.settings.max_num_seqs = 2;
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->post(kChat, chat(5, true));
  }
  for (auto& client : clients) EXPECT_TRUE(client->answer().body().ends_with("[DONE]\n\n"));
  EXPECT_EQ(server_->stats().peak_running, 2u);
  EXPECT_EQ(server_->stats().completed, 8u);
}

TEST_F(SimServerTest, AnswersInOrderOfArrival) {
  options_.settings.max_num_seqs = 1;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client first(server_->port()), second(server_->port()), third(server_->port());
  first.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1; }));
  second.post(kChat, chat(1, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 1; }));
  third.post(kChat, chat(1, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 2; }));
  SimSettings quick = server_->settings();
  quick.inter_token_latency_ns = kLong;
  quick.time_to_first_token_ns = 0;
  server_->configure(quick);
  first.close();  // gives the slot to the second, which is done at once, and so on
  second.read_until("[DONE]");
  third.read_until("[DONE]");
  EXPECT_EQ(server_->stats().completed, 2u);
  EXPECT_EQ(server_->stats().aborted, 1u);
}

TEST_F(SimServerTest, RefusesBeyondTheWaitingLimit) {
  options_.settings.max_num_seqs = 1;
  options_.settings.max_waiting = 1;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client running(server_->port()), waiting(server_->port());
  running.post(kChat, chat(1));
  waiting.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 1; }));
  const auto answer = ask(kChat, chat(1));
  EXPECT_EQ(answer.result_int(), 429u);
  EXPECT_THAT(answer.body(), HasSubstr("RateLimitError"));
  EXPECT_EQ(server_->stats().refused, 1u);
}

TEST_F(SimServerTest, TheCacheBoundsWhatRunsAtOnce) {
  options_.settings.kv_tokens = 8;  // a prompt of 4 fits, a second one leaves no room for a token
  options_.settings.inter_token_latency_ns = kLong;
  start();
  Client first(server_->port()), second(server_->port());
  first.post(kChat, chat(4, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1; }));
  second.post(kChat, chat(4, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 1; }));
  EXPECT_EQ(ask(kChat, chat(5)).result_int(), 400u);  // would never fit
  ASSERT_TRUE(soon([](const SimStats& s) { return s.resident_tokens == 5; }));
  first.close();
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 0; }));
}

TEST_F(SimServerTest, AClientThatLeavesFreesItsSlotOrItsPlaceInTheQueue) {
  options_.settings.max_num_seqs = 1;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client running(server_->port()), waiting(server_->port()), whole(server_->port());
  running.post(kChat, chat(1, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1; }));
  waiting.post(kChat, chat(1, true));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 1; }));
  whole.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 2; }));
  waiting.close();
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 1; }));
  running.close();
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 0; }));
  whole.close();
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 0 && s.aborted == 3; }));
}

TEST_F(SimServerTest, MetricsCarryVllmsNames) {
  options_.settings.max_num_seqs = 1;
  options_.settings.kv_tokens = 64;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client running(server_->port()), waiting(server_->port());
  running.post(kChat, chat(12));
  waiting.post(kChat, chat(12));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 1; }));
  Client client(server_->port());
  client.get("/metrics");
  const std::string text = client.answer().body();
  const std::string labels = R"({engine="0",model_name="sim-model")";
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running" + labels + "} 1\n"));
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_waiting" + labels + "} 1\n"));
  EXPECT_THAT(text, HasSubstr("vllm:kv_cache_usage_perc" + labels + "} 0.0625\n"));
  EXPECT_THAT(text, HasSubstr("vllm:cache_config_info" + labels +
                              R"(,block_size="16",num_gpu_blocks="4"} 1)"));
  EXPECT_THAT(text, HasSubstr("vllm:prompt_tokens_total" + labels + "} 0\n"));
  EXPECT_THAT(text, HasSubstr("vllm:generation_tokens_total" + labels + "} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("vllm:request_success_total" + labels + R"(,finished_reason="length"} 0)"));
}

TEST_F(SimServerTest, CountsTheTokensOfEachTenant) {
  start();
  Client client(server_->port());
  for (const char* tenant : {"a", "b\"", "a"}) {
    client.post(kChat, chat(3), std::string("x-llm-d-inference-fairness-id: ") + tenant + "\r\n");
    client.answer();
  }
  client.post("/v1/embeddings", R"({"input":"0123456789abcdef"})");
  client.answer();
  client.get("/metrics");
  const std::string text = client.answer().body();
  const std::string name = R"(sluice_sim_tenant_tokens_total{engine="0",model_name="sim-model",)";
  EXPECT_THAT(text, HasSubstr(name + R"(tenant="a",kind="prompt"} 8)"));
  EXPECT_THAT(text, HasSubstr(name + R"(tenant="a",kind="output"} 6)"));
  EXPECT_THAT(text, HasSubstr(name + R"(tenant="b\"",kind="output"} 3)"));
  EXPECT_THAT(text, HasSubstr(name + R"(tenant="",kind="prompt"} 4)"));
  EXPECT_THAT(text, HasSubstr(name + R"(tenant="",kind="output"} 0)"));
  EXPECT_EQ(server_->stats().prompt_tokens, 16u);
}

TEST_F(SimServerTest, TheTimeThatRequestsWaitAddsUpWhileTheyWait) {
  options_.settings.max_num_seqs = 1;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client running(server_->port()), first(server_->port()), second(server_->port());
  const auto began = Clock::now();
  running.post(kChat, chat(1));
  first.post(kChat, chat(1));
  second.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting == 2; }));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.waiting_ns >= 40 * kMs; }));
  const auto took = std::chrono::nanoseconds(Clock::now() - began);
  EXPECT_LE(server_->stats().waiting_ns, 2 * static_cast<uint64_t>(took.count()) + kMs);
}

TEST_F(SimServerTest, MetricsMayBeOffWhileAllElseWorks) {
  options_.settings.metrics = false;
  start();
  Client client(server_->port());
  client.get("/metrics");
  EXPECT_EQ(client.answer().result_int(), 404u);
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
  client.post("/admin/config", R"({"metrics":true})");
  client.answer();
  client.get("/metrics");
  EXPECT_EQ(client.answer().result_int(), 200u);
}

TEST_F(SimServerTest, ErrorModeAnswersWithItsStatus) {
  options_.settings.failure = Failure::kError;
  options_.settings.failure_status = 418;
  start();
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 418u);
  EXPECT_EQ(server_->stats().failed, 1u);
  Client client(server_->port());
  client.get("/health");
  EXPECT_EQ(client.answer().result_int(), 200u);
}

TEST_F(SimServerTest, AFailureRateStrikesSomeRequestsOnly) {
  options_.settings.failure = Failure::kError;
  options_.settings.failure_rate = 0.5;
  options_.settings.time_to_first_token_ns = 0;
  start();
  Client client(server_->port());
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    client.post(kChat, chat(1));
    failed += client.answer().result_int() == 503;
  }
  EXPECT_GT(failed, 25);
  EXPECT_LT(failed, 75);
}

TEST_F(SimServerTest, ResetModeBreaksTheStreamAfterItsTokens) {
  options_.settings.failure = Failure::kReset;
  options_.settings.failure_after_tokens = 3;
  start();
  Client client(server_->port());
  client.post(kChat, chat(9, true));
  const std::string seen = client.read_until("[DONE]");
  EXPECT_EQ(client.error(), asio::error::connection_reset);
  EXPECT_EQ(count(seen, "data: "), 3u);
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 0; }));
  EXPECT_EQ(server_->stats().completed, 0u);
}

TEST_F(SimServerTest, ResetModeCanStrikeBeforeTheFirstByte) {
  options_.settings.failure = Failure::kReset;
  options_.settings.failure_after_tokens = 0;
  start();
  Client client(server_->port());
  client.post(kChat, chat(9, true));
  EXPECT_EQ(client.read_until("[DONE]"), "");
  EXPECT_EQ(client.error(), asio::error::connection_reset);
}

TEST_F(SimServerTest, HangModeReadsAndSaysNothing) {
  options_.settings.failure = Failure::kHang;
  start();
  Client hung(server_->port());
  hung.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.failed == 1; }));
  // The server is alive and goes on, without the request.
  SimSettings settings = server_->settings();
  settings.failure = Failure::kOff;
  server_->configure(settings);
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
  EXPECT_EQ(server_->stats().completed, 1u);
  EXPECT_EQ(server_->stats().running, 0u);
}

TEST_F(SimServerTest, RefuseModeIsLikeAServerThatIsGoneUntilItIsBack) {
  start();
  Client open(server_->port());
  open.get("/health");
  EXPECT_EQ(open.answer().result_int(), 200u);
  Client admin(server_->port());
  admin.post("/admin/config", R"({"failure":"refuse"})");
  EXPECT_EQ(admin.answer().result_int(), 200u);

  EXPECT_EQ(Client(server_->port()).error(), asio::error::connection_refused);
  EXPECT_EQ(open.read_until("x"), "");
  EXPECT_EQ(open.error(), asio::error::connection_reset);

  admin.post("/admin/config", R"({"failure":"none"})");
  EXPECT_EQ(admin.answer().result_int(), 200u);
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
}

TEST_F(SimServerTest, AFailureEndsByItselfWhenToldHowLong) {
  options_.settings.failure = Failure::kRefuse;
  options_.settings.failure_for_ns = 20 * kMs;
  start();
  const auto deadline = Clock::now() + std::chrono::seconds(kPatienceSeconds);
  while (!Client(server_->port()).connected() && Clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
}

TEST_F(SimServerTest, SlowMetricsAreSlowAndNothingElseIs) {
  options_.settings.metrics_delay_ns = kLong;
  start();
  Client slow(server_->port());
  slow.get("/metrics");
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
  SimSettings settings = server_->settings();
  settings.metrics_delay_ns = 30 * kMs;
  server_->configure(settings);
  const auto begin = Clock::now();
  Client client(server_->port());
  client.get("/metrics");
  EXPECT_THAT(client.answer().body(), HasSubstr("vllm:num_requests_running"));
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(30));
}

TEST_F(SimServerTest, TheAdminEndpointChangesSlotsWhileRequestsWait) {
  options_.settings.max_num_seqs = 1;
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client first(server_->port()), second(server_->port());
  first.post(kChat, chat(1));
  second.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1 && s.waiting == 1; }));
  const auto answer = ask("/admin/config", R"({"max_num_seqs":2})");
  EXPECT_EQ(nlohmann::json::parse(answer.body())["max_num_seqs"], 2);
  EXPECT_EQ(server_->stats().running, 2u);
  EXPECT_EQ(ask("/admin/config", R"({"max_num_seqs":-2})").result_int(), 400u);
}

TEST_F(SimServerTest, MalformedRequestsGetAnAnswerAndTheServerGoesOn) {
  start();
  Client garbage(server_->port());
  garbage.send("no http at all\r\n\r\n");
  EXPECT_EQ(garbage.answer().result_int(), 400u);
  Client fat(server_->port());
  fat.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(fat.answer().result_int(), 413u);
  Client huge(server_->port());
  huge.send("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(huge.answer().result_int(), 413u);
  EXPECT_EQ(ask(kChat, "{").result_int(), 400u);
  EXPECT_EQ(ask(kChat, chat(1)).result_int(), 200u);
}

TEST_F(SimServerTest, OldClientsGetTheirStreamWithoutChunks) {
  start();
  Client client(server_->port());
  const std::string body = chat(2, true);
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string all = client.read_until("never there");
  EXPECT_EQ(client.error(), asio::error::eof);
  EXPECT_THAT(all, Not(HasSubstr("chunked")));
  EXPECT_TRUE(all.ends_with("data: [DONE]\n\n"));
}

TEST_F(SimServerTest, StoppingResetsWhoeverIsConnected) {
  options_.settings.time_to_first_token_ns = kLong;
  start();
  Client client(server_->port());
  client.post(kChat, chat(1));
  ASSERT_TRUE(soon([](const SimStats& s) { return s.running == 1; }));
  server_->stop();
  EXPECT_EQ(client.read_until("x"), "");
}

TEST_F(SimServerTest, SaysThatItCannotBind) {
  start();
  SimServerOptions same = options_;
  same.port = server_->port();
  SimServerThread second(same);
  EXPECT_EQ(second.start(), asio::error::address_in_use);
  same.host = "not an address";
  SimServerThread third(same);
  EXPECT_TRUE(third.start());
}

}  // namespace
}  // namespace sluice::sim_server
