// A proxy over a real engine and scheduler, with fake backends whose servers a test scripts.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <set>

#include "host/http/server.h"
#include "tests/unit/http/raw_sockets.h"
#include "tests/unit/transport/fakes.h"

namespace sluice {

class ProxyTest : public testing::Test {
 protected:
  ProxyTest();
  ~ProxyTest() override;

  // Adds a server that runs SCRIPT for each connection, with room for LIMIT requests.
  RawServer& add_server(RawServer::Script script, uint32_t limit = 8);
  // Adds an endpoint at which nobody listens.
  void add_dead_endpoint(uint32_t limit = 8);
  void add_endpoint(uint16_t port, uint32_t limit);
  // Finishes when it goes. A test holds it below what its scripts use, so that no server's thread
  // outlives that.
  class [[nodiscard]] Running {
   public:
    explicit Running(ProxyTest& test) : test_(test) {}
    Running(const Running&) = delete;
    ~Running() { test_.finish(); }

   private:
    ProxyTest& test_;
  };
  // Starts the proxy; change `config` and `settings` before.
  Running start();
  // A Routing made of `config`, settings as they are.
  std::shared_ptr<const HttpSettings> make_settings();

  std::unique_ptr<RawSocket> connect() { return RawSocket::connect(port); }
  // Sends one request over a connection of its own and reads its answer.
  RawMessage ask(const std::string& bytes);
  static std::string post(const std::string& body, const std::string& headers = "",
                          const std::string& path = "/v1/chat/completions");

  Stats stats() {
    return scheduler->with_engine([](Engine& engine, TimeNs) { return engine.stats(); });
  }
  bool parked(uint64_t n) {
    return eventually([&] { return stats().total.parked == n; });
  }
  // The records told so far, once there are N.
  std::vector<KeptRecord> records(size_t n);

  config::Config config;
  Pipeline pipeline;
  HttpSettings settings;
  uint32_t threads = 2;
  FakeBackends backends;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<HttpServer> server;
  uint16_t port = 0;

 private:
  void launch();
  // Stops the proxy and the servers, and checks the books.
  void finish();
  void keep_time();

  std::vector<std::unique_ptr<RawServer>> servers_;
  std::vector<std::pair<uint32_t, uint32_t>> limits_;  // slot, limit
  std::mutex mutex_;
  std::condition_variable timer_moved_;
  TimeNs due_ = kNever;
  bool over_ = false;
  std::deque<KeptRecord> records_;
  std::thread timer_;
};

inline constexpr char kBody[] = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
inline constexpr char kAnswer[] =
    R"({"id":"1","model":"m","choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":7}})";

// An answer with a body of known length.
std::string answer(const std::string& body, const std::string& headers = "", int status = 200);
// TEXT as one chunk; "" is the last one.
std::string chunk(const std::string& text);
// Answers every request of a connection with kAnswer.
void serve_forever(RawSocket& socket);

}  // namespace sluice
