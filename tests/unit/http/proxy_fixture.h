// A proxy over a real engine and scheduler, with fake backends whose servers a test scripts.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <set>

#include "host/http/server.h"
#include "tests/unit/http/raw_sockets.h"

namespace sluice {

class FakeBackends : public Backends {
 public:
  void add(uint32_t slot, uint16_t port) {
    auto address = std::make_shared<EndpointAddress>();
    address->name = "gpu-" + std::to_string(slot);
    address->host = "127.0.0.1";
    address->port = port;
    address->authority = "127.0.0.1:" + std::to_string(port);
    const std::lock_guard lock(mutex_);
    addresses_[slot] = address;
  }
  std::optional<ClassId> class_for(std::string_view model) const override {
    if (model == "moves") return asked++ == 0 ? 7 : 0;  // the classes change after the first time
    return model == "unknown" ? std::nullopt : std::optional<ClassId>(0);
  }
  std::shared_ptr<const EndpointAddress> at(uint32_t slot) const override {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(slot);
    return found == addresses_.end() ? nullptr : found->second;
  }
  ClassId class_of_all() const override { return 0; }
  std::optional<uint32_t> any(const std::vector<uint32_t>* only) const override {
    const std::lock_guard lock(mutex_);
    for (const auto& [slot, address] : addresses_)
      if (only == nullptr || std::ranges::count(*only, slot) != 0) return slot;
    return std::nullopt;
  }
  std::vector<uint32_t> slots_where(
      const std::function<bool(const EndpointAddress&)>& match) const override {
    const std::lock_guard lock(mutex_);
    std::vector<uint32_t> slots;
    for (const auto& [slot, address] : addresses_)
      if (match(*address)) slots.push_back(slot);
    return slots;
  }
  std::vector<std::string> models() const override { return {"learnt", "m"}; }
  void succeeded(uint32_t) override { ++successes; }
  void failed(uint32_t) override { ++failures; }

  std::atomic<int> successes = 0, failures = 0;
  mutable std::atomic<int> asked = 0;

 private:
  mutable std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<const EndpointAddress>> addresses_;
};

// A RequestRecord with texts of its own.
struct KeptRecord {
  RequestRecord record;
  std::string request_id, flow, band, model, target, endpoint, refusal;
};

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
