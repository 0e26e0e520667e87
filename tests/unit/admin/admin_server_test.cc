#include "host/admin/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "tests/unit/admin/exposition_check.h"
#include "tests/unit/admin/sample_snapshot.h"

namespace sluice {
namespace {

using testing::HasSubstr;

struct Answer {
  unsigned status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// A client that blocks, on a connection of its own.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(io_) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    const timeval limit{20, 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }

  void send(const std::string& bytes) {
    ErrorCode ignored;
    asio::write(socket_, asio::buffer(bytes), ignored);
  }
  // Nothing, if the server closed without an answer.
  std::optional<Answer> receive(bool head = false) {
    http::response_parser<http::string_body> parser;
    parser.skip(head);
    ErrorCode error;
    http::read(socket_, buffer_, parser, error);
    if (error) return std::nullopt;
    Answer out{parser.get().result_int(), parser.get().body(), {}};
    for (const auto& field : parser.get()) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      out.headers[name] = std::string(field.value());
    }
    return out;
  }
  bool closed() {
    char byte = 0;
    ErrorCode error;
    socket_.read_some(asio::buffer(&byte, 1), error);
    return error == asio::error::eof || error == asio::error::connection_reset;
  }

 private:
  asio::io_context io_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
};

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() {
    snapshot = sample_snapshot();
    AdminSources sources;
    sources.stats = [this] { return snapshot.engine; };
    sources.flow_stats = [this] { return snapshot.flows; };
    sources.pool = [this] { return snapshot.pool; };
    sources.not_ready = [this] { return not_ready; };
    sources.reload = [this](AdminSources::Reloaded done) {
      reloads++;
      if (hold_reloads) return held.push_back(std::move(done));
      done(reload_result);
    };
    sources.release_policy = [](const std::string& policy) { return policy == "sluice/vtc"; };
    sources.reload_stats = [this] { return snapshot.reloads; };
    sources.requests = &requests;
    sources.version = "1.2.3";
    server = std::make_unique<AdminServer>(io, config::SocketAddress{"127.0.0.1", 0, "127.0.0.1:0"},
                                           sources);
    const Result<void> started = server->start();
    EXPECT_TRUE(started.ok()) << started.error();
    port = server->port();
    thread = std::thread([this] { io.run(); });
  }
  ~AdminServerTest() override {
    asio::post(io, [this] { server->stop(); });
    thread.join();  // ends, since nothing of the server is left
  }

  Answer ask(const std::string& line, const std::string& headers = "Host: localhost\r\n",
             const std::string& body = "") {
    Client client(port);
    client.send(line + " HTTP/1.1\r\n" + headers + "\r\n" + body);
    std::optional<Answer> answer = client.receive(line.starts_with("HEAD"));
    EXPECT_TRUE(answer) << line;
    return answer.value_or(Answer());
  }

  void on_control(std::function<void()> change) {
    std::promise<void> done;
    asio::post(io, [&] {
      change();
      done.set_value();
    });
    done.get_future().wait();
  }

  AdminSnapshot snapshot;
  HostMetrics requests;
  std::string not_ready;
  ReloadResult reload_result{true, ""};
  bool hold_reloads = false;
  std::vector<AdminSources::Reloaded> held;
  std::atomic<int> reloads = 0;
  asio::io_context io;
  std::unique_ptr<AdminServer> server;
  uint16_t port = 0;
  std::thread thread;
};

TEST_F(AdminServerTest, MetricsAreValidWithEveryPart) {
  RequestRecord record;
  record.band = "critical";
  record.model = "m";
  requests.record(1, record);
  const Answer answer = ask("GET /metrics");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const Exposed out = read_exposition(answer.body);
  EXPECT_THAT(out.errors, testing::IsEmpty());
  EXPECT_EQ(out.at("sluice_parked_requests{band=\"critical\"}"), 3);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"m\",outcome=\"completed\"}"), 1);
}

TEST_F(AdminServerTest, LiveAlwaysReadyOnlyWhenReady) {
  EXPECT_EQ(ask("GET /readyz").status, 200u);
  on_control([this] { not_ready = "draining"; });
  EXPECT_EQ(ask("GET /livez").status, 200u);
  const Answer answer = ask("GET /readyz");
  EXPECT_EQ(answer.status, 503u);
  EXPECT_EQ(answer.body, "draining\n");
}

TEST_F(AdminServerTest, StatusIsJson) {
  const Answer answer = ask("GET /status?pretty");
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(answer.body)["endpoints"][0]["name"], "gpu-0");
}

TEST_F(AdminServerTest, ReloadByPostAlone) {
  const Answer wrong = ask("GET /reload");
  EXPECT_EQ(wrong.status, 405u);
  EXPECT_EQ(wrong.headers.at("allow"), "POST");
  EXPECT_EQ(reloads, 0);
  const Answer good = ask("POST /reload", "Host: 127.0.0.1:9090\r\nContent-Length: 2\r\n", "{}");
  EXPECT_EQ(good.status, 200u);
  EXPECT_EQ(nlohmann::json::parse(good.body), nlohmann::json({{"reloaded", true}}));
  on_control([this] { reload_result.messages = "p.toml:2:1: warning: not built yet"; });
  const Answer warned = ask("POST /reload", "Host: localhost\r\nContent-Length: 0\r\n");
  EXPECT_EQ(nlohmann::json::parse(warned.body)["warnings"], "p.toml:2:1: warning: not built yet");
  on_control([this] { reload_result = {false, "p.toml:3:1: error: \"quoted\" \xff"}; });
  const Answer bad = ask("POST /reload", "Host: [::1]:9090\r\nContent-Length: 0\r\n");
  EXPECT_EQ(bad.status, 409u);
  EXPECT_THAT(nlohmann::json::parse(bad.body)["error"].get<std::string>(), HasSubstr("\"quoted\""));
  EXPECT_EQ(reloads, 3);
}

TEST_F(AdminServerTest, OthersAreAnsweredWhileAReloadRuns) {
  on_control([this] { hold_reloads = true; });
  Client client(port);
  client.send("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  while (reloads == 0) std::this_thread::yield();
  EXPECT_EQ(ask("GET /livez").status, 200u);
  on_control([this] {  // what is held must not outlive `io`
    ASSERT_EQ(held.size(), 1u);
    std::exchange(held, {})[0]({true, ""});
  });
  EXPECT_EQ(client.receive()->status, 200u);
}

TEST_F(AdminServerTest, ReleasesAPolicyByPostAlone) {
  const std::string headers = "Host: localhost\r\nContent-Length: 0\r\n";
  EXPECT_EQ(ask("GET /policies/release?policy=sluice/vtc").status, 405u);
  EXPECT_EQ(ask("POST /policies/release", headers).status, 400u);
  EXPECT_EQ(ask("POST /policies/release?policy=sluice/vtc", "Host: evil\r\n").status, 403u);
  const Answer good = ask("POST /policies/release?policy=sluice/vtc", headers);
  EXPECT_EQ(good.status, 200u);
  EXPECT_EQ(nlohmann::json::parse(good.body)["released"], true);
  const Answer none = ask("POST /policies/release?policy=sluice/edf", headers);
  EXPECT_EQ(none.status, 404u);
  EXPECT_THAT(none.body, HasSubstr("sluice/edf"));
}

TEST_F(AdminServerTest, OtherMethodsAndPages) {
  EXPECT_EQ(ask("POST /metrics", "Host: localhost\r\nContent-Length: 0\r\n").status, 405u);
  EXPECT_EQ(ask("DELETE /status").headers.at("allow"), "GET, HEAD");
  const Answer missing = ask("GET /nothing");
  EXPECT_EQ(missing.status, 404u);
  EXPECT_THAT(missing.body, HasSubstr("/metrics")) << "says what there is";
  EXPECT_EQ(ask("GET /").status, 200u);
  const Answer head = ask("HEAD /livez");
  EXPECT_EQ(head.status, 200u);
  EXPECT_EQ(head.headers.at("content-length"), "3");
}

TEST_F(AdminServerTest, OnLoopbackOnlyThisMachineIsAnswered) {
  for (const char* headers : {"Host: evil.example\r\n", "Host: localhost.evil.example:9090\r\n",
                              "Host: 127.0.0.1.nip.io\r\n"}) {
    EXPECT_EQ(ask("GET /metrics", headers).status, 403u) << headers;
    EXPECT_EQ(ask("POST /reload", std::string(headers) + "Content-Length: 0\r\n").status, 403u)
        << headers;
  }
  EXPECT_EQ(ask("GET /metrics", "X: y\r\n").status, 400u) << "no Host at all";
  EXPECT_EQ(reloads, 0);
}

TEST_F(AdminServerTest, WebPagesCannotReload) {
  for (const char* origin : {"http://evil.example", "null", "http://localhost:3000"}) {
    const std::string headers =
        std::string("Host: localhost:9090\r\nContent-Length: 0\r\nOrigin: ") + origin + "\r\n";
    EXPECT_EQ(ask("POST /reload", headers).status, 403u) << origin;
  }
  EXPECT_EQ(reloads, 0);
  EXPECT_EQ(ask("POST /reload",
                "Host: localhost:9090\r\nContent-Length: 0\r\nOrigin: http://localhost:9090\r\n")
                .status,
            200u);
}

TEST_F(AdminServerTest, OneConnectionServesManyRequestsEvenPipelined) {
  Client client(port);
  const std::string request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  client.send(request + request + request);
  for (int i = 0; i < 3; i++) {
    std::optional<Answer> answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "ok\n");
  }
  client.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.receive());
  EXPECT_TRUE(client.closed());
}

TEST_F(AdminServerTest, HttpOneZeroIsAnsweredAndClosed) {
  Client client(port);
  client.send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.receive()->status, 200u);
  EXPECT_TRUE(client.closed());
}

TEST_F(AdminServerTest, BadRequestsAreAnsweredAndTheNextConnectionIsFine) {
  const std::string host = "Host: localhost\r\n";
  for (const std::string& bad :
       {std::string("\x16\x03\x01\x02\r\n\r\n"), std::string("GET\r\n\r\n"),
        std::string("GET /livez HTTP/9.9\r\n\r\n"),
        "GET /livez HTTP/1.1\r\n" + host + "X: " + std::string(AdminServer::kHeaderBytesMax, 'x') +
            "\r\n\r\n",
        "POST /reload HTTP/1.1\r\n" + host + "Content-Length: 1000000\r\n\r\n",
        "POST /reload HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n",
        "POST /reload HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    Client client(port);
    client.send(bad);
    std::optional<Answer> answer = client.receive();
    if (answer) {
      EXPECT_EQ(answer->status, 400u) << bad.substr(0, 40);
    }
    EXPECT_TRUE(client.closed()) << bad.substr(0, 40);
  }
  EXPECT_EQ(ask("GET /livez").status, 200u);
  EXPECT_EQ(reloads, 0);
}

TEST_F(AdminServerTest, ClientsThatLeaveMidwayHarmNobody) {
  for (int i = 0; i < 200; i++) {
    Client client(port);
    client.send(i % 2 ? "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" : "POST /rel");
  }
  EXPECT_EQ(ask("GET /livez").status, 200u);
}

TEST_F(AdminServerTest, TooManyConnectionsAreClosedAndRoomComesBack) {
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < AdminServer::kConnectionsMax; i++) {
    clients.push_back(std::make_unique<Client>(port));
    clients.back()->send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_TRUE(clients.back()->receive());
  }
  Client late(port);
  EXPECT_TRUE(late.closed());
  clients.clear();
  // The server sees the closed ones one after the other.
  for (;;) {
    Client again(port);
    again.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (again.receive()) break;
  }
}

TEST(AdminServerStart, ATakenAddressIsAnErrorWithItsName) {
  asio::io_context io;
  tcp::acceptor taken(io, {asio::ip::address_v4::loopback(), 0});
  const uint16_t port = taken.local_endpoint().port();
  AdminServer server(io, {"localhost", port, "localhost:" + std::to_string(port)}, {});
  const Result<void> started = server.start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error(), HasSubstr("localhost:" + std::to_string(port)));
}

TEST(AdminServerStart, AnAddressThatIsNoneIsAnError) {
  asio::io_context io;
  AdminServer server(io, {"not-an-address", 1, "not-an-address:1"}, {});
  EXPECT_FALSE(server.start().ok());
}

}  // namespace
}  // namespace sluice
