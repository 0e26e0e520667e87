// What the proxy makes of servers that refuse, hang, break off, reject or answer oddly.
#include <future>

#include "tests/unit/http/proxy_fixture.h"

namespace sluice {
namespace {

uint64_t ended(const Stats& stats, Outcome outcome) {
  return stats.total.ended[static_cast<size_t>(outcome)];
}

TEST_F(ProxyTest, ARefusedConnectionIsTriedElsewhere) {
  add_dead_endpoint();
  add_server(serve_forever);
  const Running running = start();
  for (int i = 0; i < 4; ++i) {
    const RawMessage got = ask(post(kBody));
    EXPECT_EQ(got.status(), 200);
    EXPECT_EQ(got.header("x-sluice-endpoint"), "gpu-1");
  }
  EXPECT_GT(backends.failures, 0);
  EXPECT_EQ(backends.successes, 4);
  EXPECT_EQ(stats().total.requeues, static_cast<uint64_t>(backends.failures));
}

TEST_F(ProxyTest, RetriesSpentAre502) {
  add_dead_endpoint();
  add_dead_endpoint();
  add_dead_endpoint();
  settings.upstream.retries = 1;
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 502);
  EXPECT_EQ(got.header("x-sluice-reason"), "upstream-error");
  EXPECT_EQ(backends.failures, 2);
  const KeptRecord kept = records(1)[0];
  EXPECT_EQ(kept.record.outcome, Outcome::kUpstreamError);
  EXPECT_EQ(kept.record.attempts, 2u);
  EXPECT_EQ(ended(stats(), Outcome::kUpstreamError), 1u);
}

TEST_F(ProxyTest, AResetBeforeTheFirstByteIsTriedElsewhere) {
  std::atomic<int> resets = 0;
  add_server([&](RawSocket& socket) {
    socket.read_message();
    ++resets;
    socket.reset();
  });
  add_server(serve_forever);
  const Running running = start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(post(kBody)).status(), 200);
  EXPECT_GT(resets, 0);
  EXPECT_EQ(stats().total.requeues, static_cast<uint64_t>(resets));
}

// Answers once a connection, then closes it without having said so, but only when the next request
// has come: it may have worked on that one.
TEST_F(ProxyTest, APostOverAStaleConnectionCostsARetryAndIsNobodysFailure) {
  std::atomic<int> requests = 0;
  RawServer& upstream = add_server([&](RawSocket& socket) {
    socket.read_message();
    ++requests;
    socket.send(answer(kAnswer));
    socket.receive();
    socket.reset();
  });
  threads = 1;
  settings.upstream.retries = 1;
  const Running running = start();
  const auto client = connect();
  for (int i = 0; i < 5; ++i) {
    client->send(post(kBody));
    ASSERT_EQ(client->read_message().status(), 200);
  }
  EXPECT_EQ(requests, 5);
  EXPECT_EQ(upstream.connections(), 5);
  EXPECT_EQ(stats().total.requeues, 4u);
  EXPECT_EQ(backends.failures, 0);
}

TEST_F(ProxyTest, WithoutRetriesAPostIsNeverSentTwice) {
  std::atomic<int> requests = 0;
  add_server([&](RawSocket& socket) {
    if (!socket.read_message().complete) return;
    ++requests;
    socket.send(answer(kAnswer));
    if (socket.read_message().complete) ++requests;
    socket.reset();
  });
  threads = 1;
  settings.upstream.retries = 0;
  const Running running = start();
  const auto client = connect();
  client->send(post(kBody));
  ASSERT_EQ(client->read_message().status(), 200);
  client->send(post(kBody));
  EXPECT_EQ(client->read_message().status(), 502);
  EXPECT_EQ(requests, 2);
  EXPECT_EQ(backends.failures, 0);
}

TEST_F(ProxyTest, AGetOverAStaleConnectionIsSentAgainForFree) {
  RawServer& upstream = add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send(answer("{}"));
    socket.receive();
    socket.reset();
  });
  threads = 1;
  settings.upstream.retries = 0;
  const Running running = start();
  const auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client->send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_EQ(client->read_message().status(), 200);
  }
  EXPECT_EQ(upstream.connections(), 3);
  EXPECT_EQ(backends.failures, 0);
}

TEST_F(ProxyTest, AResetInTheMiddleCutsTheAnswer) {
  for (const bool chunked : {false, true}) {
    const std::string head = chunked ? "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                                     : "Content-Length: 100\r\n\r\nhello";
    add_server([head](RawSocket& socket) {
      socket.read_message();
      socket.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + head);
      // The client has seen it: what breaks now breaks in the middle.
      socket.receive();
    });
  }
  const Running running = start();
  for (int i = 0; i < 2; ++i) {
    const auto client = connect();
    client->send(post(kBody));
    EXPECT_TRUE(client->receive_until("hello"));
    client->finish_sending();  // counts as leaving, so the server's connection is closed
    EXPECT_FALSE(client->read_message().complete);
  }
  EXPECT_TRUE(eventually([&] { return ended(stats(), Outcome::kClientGone) == 2; }));
}

TEST_F(ProxyTest, AnAnswerThatEndsEarlyIsNeverCompleted) {
  std::promise<void> seen;
  auto saw = seen.get_future().share();
  add_server([saw](RawSocket& socket) {
    socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
        "chunked\r\n\r\n9\r\ndata: {}\n\r\n");
    saw.wait_for(kPatience);
    socket.reset();
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(kBody));
  EXPECT_TRUE(client->receive_until("data: {}\n"));
  seen.set_value();
  const RawMessage got = client->read_message();
  EXPECT_FALSE(got.complete) << "no final chunk may follow";
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kUpstreamError);
  EXPECT_EQ(stats().total.requeues, 0u) << "nothing is sent twice after the first byte";
  EXPECT_EQ(backends.failures, 1);
  EXPECT_EQ(backends.successes, 0) << "a head alone is no answer";
}

TEST_F(ProxyTest, AShortBodyIsNotPassedOffAsWhole) {
  add_server([](RawSocket& socket) {
    socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        "100\r\n\r\n{\"short\":1}");
  });
  const Running running = start();
  EXPECT_FALSE(ask(post(kBody)).complete);
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kUpstreamError);
}

TEST_F(ProxyTest, SilenceIs504) {
  add_server([](RawSocket& socket) { socket.receive_until("never"); });
  settings.upstream.idle_timeout_ns = 50'000'000;
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 504);
  EXPECT_EQ(backends.failures, 1);
  EXPECT_EQ(ended(stats(), Outcome::kUpstreamError), 1u);
}

TEST_F(ProxyTest, SilenceInTheMiddleCutsTheAnswer) {
  add_server([](RawSocket& socket) {
    socket.read_message();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    socket.receive_until("never");
  });
  settings.upstream.idle_timeout_ns = 50'000'000;
  const Running running = start();
  EXPECT_FALSE(ask(post(kBody)).complete);
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kUpstreamError);
}

TEST_F(ProxyTest, AnEnginesOwnRejectionIsQueuedAgain) {
  for (const int status : {429, 503}) {
    auto left = std::make_shared<std::atomic<int>>(3);
    add_server(
        [left, status](RawSocket& socket) {
          while (socket.read_message().complete) {
            socket.send((*left)-- > 0 ? answer("{\"busy\":1}", "Retry-After: 1\r\n", status)
                                      : answer(kAnswer));
          }
        },
        1);
  }
  settings.upstream.retries = 0;
  const Running running = start();
  EXPECT_EQ(ask(post(kBody)).body, kAnswer);
  EXPECT_GT(stats().total.requeues, 0u);
  EXPECT_EQ(backends.failures, 0);
}

TEST_F(ProxyTest, RejectionsEndWithTheTtl) {
  pipeline.bands[0].ttl_ns = 100'000'000;
  add_server([](RawSocket& socket) {
    while (socket.read_message().complete && socket.send(answer("{}", "", 503))) {
    }
  });
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 429);
  EXPECT_EQ(got.header("x-sluice-reason"), "ttl-expired");
}

TEST_F(ProxyTest, OtherErrorsAreTheServersAnswer) {
  add_server([](RawSocket& socket) {
    socket.read_message();
    socket.send(answer("{\"error\":1}", "Retry-After: 9\r\n", 500));
  });
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 500);
  EXPECT_EQ(got.body, "{\"error\":1}");
  EXPECT_EQ(got.header("retry-after"), "9");
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kCompleted);
}

TEST_F(ProxyTest, AnswersOfEveryFraming) {
  const std::string raw[] = {
      "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"until\":\"close\"}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\n4;x=y\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\nX-Trailer: 1\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 "
      "OK\r\nContent-Length: 2\r\n\r\n{}",
      "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
  const std::string bodies[] = {"{\"until\":\"close\"}", "{\"a\":1}", "{}", "", ""};
  std::atomic<size_t> turn = 0;
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send(raw[turn++]);
  });
  const Running running = start();
  for (const std::string& body : bodies) {
    const RawMessage got = ask(post(kBody));
    EXPECT_TRUE(got.complete);
    EXPECT_EQ(got.body, body);
    EXPECT_FALSE(got.has("x-trailer"));
  }
}

TEST_F(ProxyTest, GarbageIs502) {
  std::atomic<size_t> turn = 0;
  const std::string raw[] = {"SSH-2.0-OpenSSH\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                             "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n",
                             "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 200 O"};
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send(raw[turn++]);
  });
  const Running running = start();
  for (size_t i = 0; i < std::size(raw); ++i)
    EXPECT_EQ(ask(post(kBody)).status(), 502) << raw[i].substr(0, 40);
  EXPECT_EQ(stats().total.requeues, 0u);
}

TEST_F(ProxyTest, ABrokenChunkCutsTheAnswer) {
  std::promise<void> seen;
  auto saw = seen.get_future().share();
  add_server([saw](RawSocket& socket) {
    socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
        chunk("abc"));
    saw.wait_for(kPatience);
    socket.send("zz\r\n");
    socket.receive();
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(kBody));
  EXPECT_TRUE(client->receive_until("abc"));
  seen.set_value();
  EXPECT_FALSE(client->read_message().complete);
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kUpstreamError);
}

TEST_F(ProxyTest, BytesBeyondAnAnswerAreNobodys) {
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send(answer("{}") + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    socket.receive();
  });
  threads = 1;
  const Running running = start();
  const auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client->send(post(kBody));
    EXPECT_EQ(client->read_message().body, "{}");
  }
}

TEST_F(ProxyTest, AnEarlyAnswerToALargeBodyIsPassedOn) {
  add_server([&](RawSocket& socket) {
    socket.receive_until("\r\n\r\n");
    socket.send(answer("{\"error\":\"too long\"}", "Connection: close\r\n", 413));
    socket.finish_sending();
    socket.ended();
  });
  const Running running = start();
  const RawMessage got = ask(post(R"({"model":"m","x":")" + std::string(8'000'000, 'x') + "\"}"));
  EXPECT_EQ(got.status(), 413);
  EXPECT_EQ(got.body, "{\"error\":\"too long\"}");
}

TEST_F(ProxyTest, AGetIsTriedAgainAndThen502) {
  add_dead_endpoint();
  settings.upstream.retries = 2;
  const Running running = start();
  EXPECT_EQ(ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status(), 502);
  EXPECT_EQ(backends.failures, 3);
}

TEST_F(ProxyTest, ASlowReaderSlowsTheServerDown) {
  std::atomic<size_t> sent = 0;
  constexpr size_t kAll = size_t{64} << 20;
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kAll) + "\r\n\r\n");
    const std::string block(1 << 20, 'x');
    while (sent < kAll && socket.send(block)) sent += block.size();
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(kBody));
  ASSERT_TRUE(client->receive_until("\r\n\r\n"));
  // Nobody reads: what the server gets rid of is bounded by the sockets' buffers, not by our
  // memory.
  size_t last = 0;
  EXPECT_TRUE(eventually([&] {
    const size_t now = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const bool still = now == last && now > 0;
    last = now;
    return still;
  }));
  EXPECT_LT(sent, kAll);
  const RawMessage got = client->read_message();
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body.size(), kAll);
}

}  // namespace
}  // namespace sluice
