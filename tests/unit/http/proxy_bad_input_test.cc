// What a client that is wrong, slow or hostile gets.
#include <future>
#include <random>

#include "tests/unit/http/proxy_fixture.h"

namespace sluice {
namespace {

// Sends BYTES, half-closed or not, and reads one answer; the connection must end after it.
RawMessage refused(ProxyTest&, RawSocket& client, const std::string& bytes) {
  client.send(bytes);
  const RawMessage got = client.read_message();
  EXPECT_TRUE(client.ended()) << "a connection whose framing is in doubt must not be used again";
  return got;
}

TEST_F(ProxyTest, SmugglingIsRefusedAndTheConnectionClosed) {
  add_server(serve_forever);
  const Running running = start();
  for (const std::string head :
       {"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "Host: x\r\nContent-Length : 5\r\n", "Host: x\r\nX: 1\r\n 2\r\n", "Host: x\r\nHost: y\r\n",
        "X: y\r\n", "Host: x\r\nTransfer-Encoding: xchunked\r\n",
        "Host: x\r\nUpgrade: websocket\r\n"}) {
    const auto client = connect();
    const RawMessage got = refused(*this, *client,
                                   "POST /v1/completions HTTP/1.1\r\n" + head +
                                       "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(got.status(), 400) << head;
    EXPECT_EQ(got.header("x-sluice-reason"), "bad-request");
    EXPECT_EQ(got.header("connection"), "close");
    EXPECT_NE(got.body.find("\"error\""), std::string::npos);
  }
  const auto client = connect();
  EXPECT_EQ(refused(*this, *client, "GET / HTTP/1.1\nHost: x\n\n").status(), 400);
  EXPECT_EQ(records(9)[0].record.outcome, Outcome::kRejectedBad);
}

TEST_F(ProxyTest, BadChunksAreRefused) {
  add_server(serve_forever);
  const Running running = start();
  for (const char* chunks :
       {"x\r\n", "5\r\nabcdeXX", "-1\r\n", "FFFFFFFFFFFFFFFFFF\r\n", "5\nabcde\r\n"}) {
    const auto client = connect();
    const RawMessage got = refused(
        *this, *client,
        std::string(
            "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") +
            chunks + "\r\n\r\n\r\n");
    EXPECT_GE(got.status(), 400) << chunks;
    EXPECT_LT(got.status(), 500) << chunks;
  }
}

TEST_F(ProxyTest, LimitsOfHeadAndBody) {
  settings.max_header = 1000;
  settings.max_body = 1000;
  add_server(serve_forever);
  const Running running = start();
  auto client = connect();
  RawMessage got = refused(
      *this, *client, "GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'a') + "\r\n\r\n");
  EXPECT_EQ(got.status(), 431);
  EXPECT_EQ(got.header("x-sluice-reason"), "too-large");
  client = connect();
  got = refused(*this, *client, "GET /" + std::string(5000, 'a'));
  EXPECT_EQ(got.status(), 431);
  client = connect();  // by its length alone
  got = refused(*this, *client,
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_EQ(got.status(), 413);
  client = connect();  // with all of the body on its way
  got = refused(*this, *client, post(std::string(400'000, 'x')));
  EXPECT_EQ(got.status(), 413);
  client = connect();
  std::string chunked =
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunked += "64\r\n" + std::string(100, ' ') + "\r\n";
  got = refused(*this, *client, chunked);
  EXPECT_EQ(got.status(), 413);
  client = connect();
  got = refused(*this, *client,
                "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                    std::string(100'000, 'x'));
  EXPECT_EQ(got.status(), 431);
  EXPECT_EQ(ask(post(R"({"model":"m","x":")" + std::string(980, 'x') + "\"}")).status(), 200)
      << "exactly at the limit";
}

TEST_F(ProxyTest, BodiesBeingReadAreBoundedTogether) {
  settings.body_bytes_max = 100'000;
  add_server(serve_forever);
  const Running running = start();
  const std::string body = R"({"model":"m","x":")" + std::string(80'000, 'x') + "\"}";
  const std::string request = post(body);
  const auto slow = connect();
  slow->send(request.substr(0, request.size() - 10));
  ASSERT_TRUE(eventually([&] { return server->body_bytes() >= 80'000; }));
  EXPECT_EQ(ask(request).status(), 429);
  EXPECT_EQ(ask(post(kBody)).status(), 200) << "there is room for a small one";
  slow->send(request.substr(request.size() - 10));
  EXPECT_EQ(slow->read_message().status(), 200);
  EXPECT_EQ(ask(request).status(), 200);
  EXPECT_EQ(ask(post(R"({"model":"m","x":")" + std::string(200'000, 'x') + "\"}")).status(), 200)
      << "alone, none is too large";
}

TEST_F(ProxyTest, WhatTheHeadForbidsIsRefusedBeforeTheBody) {
  const Running running = start();
  for (const std::string line : {"POST /v1/nothing", "PUT /v1/completions", "GET /v1/models"}) {
    const auto client = connect();
    client->send(line +
                 " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    const RawMessage got = client->read_message();
    EXPECT_GE(got.status(), 400) << line;
    EXPECT_EQ(got.header("connection"), "close") << line;
  }
}

TEST_F(ProxyTest, SlowHeadsAndBodiesRunOut) {
  settings.header_timeout_ns = 50'000'000;
  settings.body_timeout_ns = 50'000'000;
  add_server(serve_forever);
  const Running running = start();
  auto client = connect();
  EXPECT_EQ(refused(*this, *client, "GET / HTT").status(), 408);
  client = connect();
  EXPECT_EQ(refused(*this, *client,
                    "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
                .status(),
            408);
  client = connect();  // silent from the start: nothing to answer
  std::string rest;
  EXPECT_TRUE(client->ended(&rest));
  EXPECT_EQ(rest, "");
}

TEST_F(ProxyTest, BadBodiesAreRefusedAndTheConnectionStays) {
  add_server(serve_forever);
  const Running running = start();
  const auto client = connect();
  for (const char* body : {"", "{", "[]", R"({"prompt":"x"})", R"({"model":"a","model":"b"})",
                           R"({"model":7})", "\xff"}) {
    client->send(post(body));
    const RawMessage got = client->read_message();
    EXPECT_EQ(got.status(), 400) << body;
    EXPECT_EQ(got.header("content-type"), "application/json");
    EXPECT_FALSE(got.has("x-sluice-queue-ms"));
  }
  client->send(post(kBody));
  EXPECT_EQ(client->read_message().status(), 200);
  EXPECT_EQ(stats().total.submitted, 1u);
}

TEST_F(ProxyTest, UnknownPathsMethodsAndModels) {
  add_server(serve_forever);
  const Running running = start();
  EXPECT_EQ(ask(post(kBody, "", "/v1/audio")).status(), 404);
  EXPECT_EQ(ask("PUT /v1/completions HTTP/1.1\r\nHost: x\r\n\r\n").status(), 405);
  EXPECT_EQ(ask("GET /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").status(), 400);
  EXPECT_EQ(ask(post(kBody, "Expect: 200-maybe\r\n")).status(), 417);
  const RawMessage got = ask(post(R"({"model":"unknown"})"));
  EXPECT_EQ(got.status(), 404);
  EXPECT_EQ(got.header("x-sluice-reason"), "unknown-model");
  EXPECT_NE(got.body.find("\"model_not_found\""), std::string::npos);
  EXPECT_EQ(stats().total.submitted, 0u);
  // Each had a connection of its own, so that their records come in any order.
  EXPECT_EQ(std::ranges::count(records(5), Outcome::kRejectedUnknownModel,
                               [](const KeptRecord& kept) { return kept.record.outcome; }),
            1);
}

TEST_F(ProxyTest, ErrorsInTheWordsOfLlmD) {
  settings.error_format = config::ErrorFormat::kLlmD;
  const Running running = start();
  const RawMessage got = ask(post("{"));
  EXPECT_EQ(got.header("content-type"), "text/plain");
  EXPECT_TRUE(got.body.starts_with("inference error: BadRequest - ")) << got.body;
}

TEST_F(ProxyTest, ABodyThatNeverEndsIsLetGo) {
  add_server(serve_forever);
  const Running running = start();
  auto client = connect();
  client->send(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{\"model\":");
  client->reset();
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
  EXPECT_EQ(stats().total.submitted, 0u);
}

TEST_F(ProxyTest, OddRequestIdsAreReplaced) {
  add_server(serve_forever);
  const Running running = start();
  for (const std::string& id :
       {std::string(500, 'a'), std::string("a b"), std::string("\xC3\xA9"), std::string()}) {
    const std::string got = ask(post(kBody, "X-Request-Id: " + id + "\r\n")).header("x-request-id");
    EXPECT_EQ(got.size(), 32u) << id;
  }
}

// Mutated requests: the proxy answers or closes, and goes on serving others.
TEST_F(ProxyTest, MutatedRequestsNeverBreakIt) {
  settings.header_timeout_ns = settings.body_timeout_ns = 200'000'000;
  add_server(serve_forever);
  const Running running = start();
  std::mt19937_64 random(21);
  const std::string seeds[] = {
      post(kBody) + post(kBody),
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "d\r\n{\"model\":\"m\"}\r\n0\r\n\r\n",
      "GET /v1/models HTTP/1.0\r\n\r\n"};
  for (int round = 0; round < 600; ++round) {
    std::string bytes = seeds[round % 3];
    for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random());
      } else {
        bytes.erase(at, 1 + random() % 4);
      }
    }
    const auto client = connect();
    client->send(bytes);
    client->finish_sending();
    EXPECT_TRUE(client->ended()) << bytes;
  }
  EXPECT_EQ(ask(post(kBody)).status(), 200);
}

}  // namespace
}  // namespace sluice
