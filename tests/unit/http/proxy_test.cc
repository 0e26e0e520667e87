// What a well-behaved client and a well-behaved server see of the proxy.
#include <future>

#include "tests/unit/http/proxy_fixture.h"

namespace sluice {
namespace {

TEST_F(ProxyTest, ForwardsAndAnswers) {
  RawMessage seen;
  add_server([&](RawSocket& socket) {
    seen = socket.read_message();
    socket.send(answer(kAnswer, "X-From: server\r\n"));
  });
  const Running running = start();
  const RawMessage got = ask(post(kBody, "X-Request-Id: abc\r\nAuthorization: Bearer t\r\n"));
  ASSERT_TRUE(got.complete);
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.body, kAnswer);
  EXPECT_EQ(got.header("x-from"), "server");
  EXPECT_EQ(got.header("x-request-id"), "abc");
  EXPECT_EQ(got.header("x-sluice-endpoint"), "gpu-0");
  EXPECT_EQ(got.header("x-sluice-queue-ms"), "0");
  EXPECT_EQ(got.header("content-length"), std::to_string(got.body.size()));
  EXPECT_EQ(seen.start_line, "POST /v1/chat/completions HTTP/1.1");
  EXPECT_EQ(seen.body, kBody);
  EXPECT_EQ(seen.header("authorization"), "Bearer t");
  EXPECT_EQ(seen.header("x-request-id"), "abc");
  const KeptRecord kept = records(1)[0];
  EXPECT_EQ(kept.record.outcome, Outcome::kCompleted);
  EXPECT_EQ(kept.record.status, 200);
  EXPECT_EQ(kept.record.prompt_tokens, 5u);
  EXPECT_EQ(kept.record.output_tokens, 7u);
  EXPECT_TRUE(kept.record.has_usage);
  EXPECT_EQ(kept.model, "m");
  EXPECT_EQ(kept.flow, "m");
  EXPECT_EQ(kept.band, "default");
  EXPECT_EQ(kept.endpoint, "gpu-0");
  EXPECT_EQ(stats().total.output_tokens, 7u);
}

TEST_F(ProxyTest, ConnectionsAreReusedOnBothSides) {
  RawServer& upstream = add_server(serve_forever);
  threads = 1;
  const Running running = start();
  const auto client = connect();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client->send(post(kBody)));
    ASSERT_EQ(client->read_message().body, kAnswer);
  }
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_EQ(records(20).size(), 20u);
}

TEST_F(ProxyTest, PipelinedRequestsAreAnsweredInOrder) {
  add_server([](RawSocket& socket) {
    for (RawMessage m; (m = socket.read_message()).complete;) {
      socket.send(answer("{\"got\":" + m.body + "}"));
    }
  });
  const Running running = start();
  std::string all;
  for (int i = 0; i < 30; ++i) all += post(R"({"model":"m","x":)" + std::to_string(i) + "}");
  const auto client = connect();
  client->send(all);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(client->read_message().body,
              "{\"got\":{\"model\":\"m\",\"x\":" + std::to_string(i) + "}}");
  }
}

TEST_F(ProxyTest, HopByHopHeadersStayOnTheirHop) {
  RawMessage seen;
  add_server([&](RawSocket& socket) {
    seen = socket.read_message();
    socket.send(answer("{}",
                       "Connection: X-Local\r\nX-Local: 1\r\nKeep-Alive: "
                       "timeout=5\r\nX-Sluice-Endpoint: forged\r\nX-Kept: 1\r\n"));
  });
  const Running running = start();
  const RawMessage got = ask(post(
      kBody,
      "Connection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nProxy-Authorization: "
      "x\r\nKeep-Alive: 1\r\n"
      "Accept-Encoding: gzip\r\nx-gateway-destination-endpoint: 10.0.0.1:1\r\nX-Other: 1\r\n"));
  for (const char* name : {"connection", "x-mine", "te", "proxy-authorization", "keep-alive",
                           "accept-encoding", "x-gateway-destination-endpoint"}) {
    EXPECT_FALSE(seen.has(name)) << name;
  }
  EXPECT_TRUE(seen.has("x-other"));
  EXPECT_EQ(seen.header("host"), backends.at(0)->authority);
  EXPECT_EQ(seen.headers.count("content-length"), 1u);
  EXPECT_FALSE(got.has("x-local"));
  EXPECT_FALSE(got.has("keep-alive"));
  EXPECT_TRUE(got.has("x-kept"));
  EXPECT_EQ(got.headers.count("x-sluice-endpoint"), 1u);
  EXPECT_EQ(got.header("x-sluice-endpoint"), "gpu-0");
  EXPECT_EQ(got.header("connection"), "close");
}

TEST_F(ProxyTest, ChunkedBodiesAndExpectContinue) {
  RawMessage seen;
  add_server([&](RawSocket& socket) {
    seen = socket.read_message();
    socket.send(answer("{}"));
  });
  const Running running = start();
  const auto client = connect();
  client->send(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: "
      "100-continue\r\n"
      "X-Llm-D-Inference-Fairness-Id: a\r\n\r\n");
  ASSERT_EQ(client->read_message().status(), 100);
  const std::string body = R"({"model":"m","prompt":"some text"})";
  for (const char c : body) client->send(std::string("1;ext=\"x\"\r\n") + c + "\r\n");
  client->send("0\r\nX-Llm-D-Inference-Fairness-Id: forged\r\nX-Trailer: 1\r\n\r\n");
  EXPECT_EQ(client->read_message().status(), 200);
  EXPECT_EQ(seen.body, body);
  EXPECT_EQ(seen.header("content-length"), std::to_string(body.size()));
  EXPECT_FALSE(seen.has("expect"));
  EXPECT_FALSE(seen.has("x-trailer"));
  EXPECT_EQ(seen.headers.count("x-llm-d-inference-fairness-id"), 1u);
  EXPECT_EQ(seen.header("x-llm-d-inference-fairness-id"), "a");
}

TEST_F(ProxyTest, LargeBodiesPassBothWays) {
  RawMessage seen;
  const std::string reply = "{\"x\":\"" + std::string(3'000'000, 'y') + "\"}";
  add_server([&](RawSocket& socket) {
    seen = socket.read_message();
    socket.send(answer(reply));
  });
  const Running running = start();
  const std::string body = R"({"model":"m","messages":")" + std::string(5'000'000, 'z') + "\"}";
  const RawMessage got = ask(post(body));
  EXPECT_TRUE(seen.body == body);
  EXPECT_TRUE(got.body == reply);
  EXPECT_EQ(records(1)[0].record.bytes_out, reply.size());
}

TEST_F(ProxyTest, EveryEventIsForwardedAtOnce) {
  std::promise<void> more;
  auto go_on = more.get_future().share();
  add_server([&, go_on](RawSocket& socket) {
    socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.send("1d\r\ndata: {\"choices\":[{\"i\":1}]}\n\n\r\n");
    go_on.wait_for(kPatience);  // not before the client has seen the first event
    socket.send("1d\r\ndata: {\"choices\":[{\"i\":2}]}\n\n\r\n0\r\n\r\n");
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(R"({"model":"m","stream":true})"));
  EXPECT_TRUE(client->receive_until("\"i\":1}]}\n\n"));
  more.set_value();
  const RawMessage got = client->read_message();
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body, "data: {\"choices\":[{\"i\":1}]}\n\ndata: {\"choices\":[{\"i\":2}]}\n\n");
  EXPECT_EQ(got.header("transfer-encoding"), "chunked");
  const KeptRecord kept = records(1)[0];
  EXPECT_TRUE(kept.record.streamed);
  EXPECT_FALSE(kept.record.has_usage);
  EXPECT_EQ(kept.record.output_tokens, 2u);
}

TEST_F(ProxyTest, StreamsAreAskedForTheirUsageUnasked) {
  std::string asked;
  add_server([&](RawSocket& socket) {
    for (RawMessage m; (m = socket.read_message()).complete;) {
      asked = m.body;
      socket.send(
          std::string("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n") +
          chunk("data: {\"choices\":[{\"i\":1}],\"usage\":null}\n\n") +
          chunk("data: "
                "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":10}}\n\n") +
          chunk("data: [DONE]\n\n") + chunk(""));
    }
  });
  const Running running = start();
  const RawMessage got = ask(post(R"({"model":"m","stream":true})"));
  EXPECT_EQ(asked, R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
  EXPECT_EQ(got.body, "data: {\"choices\":[{\"i\":1}],\"usage\":null}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(records(1)[0].record.output_tokens, 10u);
  // Who asks for it gets it.
  const RawMessage all =
      ask(post(R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})"));
  EXPECT_NE(all.body.find("\"completion_tokens\":10"), std::string::npos);
  EXPECT_EQ(asked, R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
}

// A stream of four events that never says its usage, under each [usage] stream.
class StreamUsage : public ProxyTest, public testing::WithParamInterface<config::StreamUsage> {};

TEST_P(StreamUsage, IsAskedForCountedOrLeftAlone) {
  std::string asked;
  add_server([&](RawSocket& socket) {
    asked = socket.read_message().body;
    std::string events;
    for (int i = 0; i < 4; ++i) events += chunk("data: {\"choices\":[{\"i\":1}]}\n\n");
    socket.send(std::string("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n") +
                events + chunk("data: [DONE]\n\n") + chunk(""));
  });
  settings.stream_usage = GetParam();
  const Running running = start();
  const std::string body = R"({"model":"m","stream":true,"prompt":"0123456789abcd"})";
  EXPECT_EQ(ask(post(body, "", "/v1/completions")).status(), 200);
  const bool asks = GetParam() == config::StreamUsage::kInject;
  EXPECT_EQ(asked.find("include_usage") != std::string::npos, asks);
  // 16 bytes of prompt are 4 tokens; an output token costs 2, and 256 are expected.
  const uint64_t billed = GetParam() == config::StreamUsage::kOff ? 4 + 2 * 256 : 4 + 2 * 4;
  EXPECT_TRUE(eventually([&] { return stats().total.served_cost == billed; }))
      << stats().total.served_cost;
}

INSTANTIATE_TEST_SUITE_P(All, StreamUsage,
                         testing::Values(config::StreamUsage::kInject, config::StreamUsage::kCount,
                                         config::StreamUsage::kOff));

TEST_F(ProxyTest, ModelsAreRenamedThereAndBack) {
  config::Model model;
  model.name = "friendly";
  model.targets = {{"org/real", 1}};
  config.models = {model};
  RawMessage seen;
  add_server([&](RawSocket& socket) {
    seen = socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        "35\r\n\r\n{\"id\":1,\"model\":\"org");
    socket.send("/real\",\"x\":[1]}");
  });
  const Running running = start();
  const RawMessage got = ask(post(R"({"n":1, "model" : "friendly","messages":[]})"));
  EXPECT_EQ(seen.body, R"({"n":1, "model" : "org/real","messages":[]})");
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body, R"({"id":1,"model":"friendly","x":[1]})");
  const KeptRecord kept = records(1)[0];
  EXPECT_EQ(kept.model, "friendly");
  EXPECT_EQ(kept.target, "org/real");
}

TEST_F(ProxyTest, Http10ClientsAreSpokenToInKind) {
  add_server([&](RawSocket& socket) {
    while (socket.read_message().complete) {
      socket.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
          "chunked\r\n\r\n");
      socket.send("9\r\ndata: {}\n\r\n1\r\n\n\r\n");
      socket.send("0\r\n\r\n");
    }
  });
  const Running running = start();
  const std::string body = R"({"model":"m"})";
  const RawMessage got =
      ask("POST /v1/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_FALSE(got.has("transfer-encoding"));
  EXPECT_EQ(got.body, "data: {}\n\n");
}

TEST_F(ProxyTest, ModelsAreListedByTheProxyItself) {
  config::Model model;
  model.name = "m";
  model.targets = {{"m-v1", 1}};
  config.models = {model};
  const Running running = start();  // no endpoint at all
  const RawMessage got = ask("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(got.status(), 200);
  EXPECT_NE(got.body.find(R"({"object":"list","data":[{"id":"m",)"), std::string::npos) << got.body;
  EXPECT_NE(got.body.find(R"({"id":"m-v1",)"), std::string::npos);
  EXPECT_NE(got.body.find(R"({"id":"learnt",)"), std::string::npos);
  EXPECT_EQ(got.body.find(R"("id":"m",)"), got.body.rfind(R"("id":"m",)")) << "each name once";
  const RawMessage head = ask("HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.status(), 200);
  EXPECT_EQ(head.header("content-length"), got.header("content-length"));
  EXPECT_EQ(head.body, "");
}

TEST_F(ProxyTest, AModelIsShownByItsName) {
  const Running running = start();
  const RawMessage got = ask("GET /v1/models/lea%72nt?x=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.body, R"({"id":"learnt","object":"model","created":0,"owned_by":"sluice"})");
  const RawMessage none = ask("GET /v1/models/other HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(none.status(), 404);
  EXPECT_NE(none.body.find("model_not_found"), std::string::npos) << none.body;
}

TEST_F(ProxyTest, AnEndpointIsAddressedByItsOwnName) {
  std::promise<RawMessage> seen;
  add_server([&](RawSocket& socket) {
    seen.set_value(socket.read_message());
    socket.send(answer(kAnswer,
                       "x-gateway-destination-endpoint: 10.0.0.1:80\r\n"
                       "x-llm-d-request-dropped-reason: none\r\n"));
    socket.ended();
  });
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(seen.get_future().get().header("host"), backends.at(0)->authority);
  EXPECT_FALSE(got.has("x-gateway-destination-endpoint"));
  EXPECT_FALSE(got.has("x-llm-d-request-dropped-reason"));
}

TEST_F(ProxyTest, RequestsWithoutABodyAreNeverParked) {
  add_server(
      [](RawSocket& socket) {
        for (RawMessage m; (m = socket.read_message()).complete;) {
          if (m.start_line.starts_with("HEAD")) {
            socket.send("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
          } else {
            socket.send(answer("{\"line\":\"" + m.start_line + "\"}"));
          }
        }
      },
      0);  // no room for anything parked
  const Running running = start();
  EXPECT_EQ(ask("GET /health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n").body,
            "{\"line\":\"GET /health?x=1 HTTP/1.1\"}");
  EXPECT_EQ(ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").body, "{\"line\":\"OPTIONS * HTTP/1.1\"}");
  const auto client = connect();
  client->send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nGET /y HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client->read_message(true).header("content-length"), "77");
  EXPECT_EQ(client->read_message().body, "{\"line\":\"GET /y HTTP/1.1\"}");
  EXPECT_EQ(stats().total.submitted, 0u);
}

TEST_F(ProxyTest, WithoutAnEndpointTheyGet503) {
  const Running running = start();
  const RawMessage got = ask("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(got.status(), 503);
  EXPECT_EQ(got.header("x-sluice-reason"), "no-endpoint");
  EXPECT_NE(got.header("retry-after"), "");
}

TEST_F(ProxyTest, EndpointsAreNotNamedWhereThatIsTurnedOff) {
  settings.expose_endpoint = false;
  add_server(serve_forever);
  const Running running = start();
  EXPECT_FALSE(ask(post(kBody)).has("x-sluice-endpoint"));
}

TEST_F(ProxyTest, AReloadIsForNewRequests) {
  add_server(serve_forever);
  threads = 1;
  const Running running = start();
  const auto client = connect();
  client->send(post(kBody));
  EXPECT_TRUE(client->read_message().has("x-sluice-endpoint"));
  settings.expose_endpoint = false;
  server->reconfigure(make_settings());
  // The same connection stays.
  EXPECT_TRUE(eventually([&] {
    client->send(post(kBody));
    return !client->read_message().has("x-sluice-endpoint");
  }));
}

TEST_F(ProxyTest, ManyClientsAtOnce) {
  add_server(serve_forever, 4);
  add_server(serve_forever, 4);
  const Running running = start();
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      const auto client = connect();
      for (int n = 0; n < 50; ++n) {
        client->send(post(kBody));
        const RawMessage got = client->read_message();
        good += got.complete && got.body == kAnswer ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, 800);
  EXPECT_EQ(stats().total.ended[static_cast<size_t>(Outcome::kCompleted)], 800u);
}

}  // namespace
}  // namespace sluice
