#include "tests/unit/http/proxy_fixture.h"

namespace sluice {

ProxyTest::ProxyTest() {
  config::Band band;
  band.limits.name = "default";
  config.bands = {band};
  config.flow_key = {{config::FlowComponent::Kind::kModel, ""}};
  config.trust = {{{"127.0.0.0/8"}, {"x-llm-d-inference-fairness-id"}}};
  BandConfig limits;
  limits.name = "default";
  limits.ttl_ns = limits.no_endpoint_ttl_ns = 60'000'000'000;
  pipeline.bands = {limits};
}

ProxyTest::~ProxyTest() { finish(); }

void ProxyTest::finish() {
  if (server) {
    server->stop();
    // Whatever a test did: everything that was submitted has ended, once, and the books agree.
    const Ledger ledger = stats().total;
    EXPECT_EQ(ledger.parked, 0u);
    EXPECT_EQ(ledger.in_flight, 0u);
    EXPECT_EQ(
        scheduler->with_engine([](Engine& engine, TimeNs) { return engine.audit().value_or(""); }),
        "");
  }
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    timer_moved_.notify_all();
  }
  if (timer_.joinable()) timer_.join();
  server.reset();
  servers_.clear();
}

RawServer& ProxyTest::add_server(RawServer::Script script, uint32_t limit) {
  servers_.push_back(std::make_unique<RawServer>(std::move(script)));
  add_endpoint(servers_.back()->port(), limit);
  return *servers_.back();
}

void ProxyTest::add_dead_endpoint(uint32_t limit) { add_endpoint(closed_port(), limit); }

void ProxyTest::add_endpoint(uint16_t at, uint32_t limit) {
  const uint32_t slot = static_cast<uint32_t>(limits_.size());
  backends.add(slot, at);
  limits_.emplace_back(slot, limit);
}

std::shared_ptr<const HttpSettings> ProxyTest::make_settings() {
  auto routing = Routing::create(config, {});
  EXPECT_TRUE(routing.ok()) << routing.error();
  settings.routing = *routing;
  return std::make_shared<const HttpSettings>(settings);
}

ProxyTest::Running ProxyTest::start() {
  launch();
  return Running(*this);
}

void ProxyTest::launch() {
  auto engine = Engine::create(pipeline, 1, Scheduler::now());
  ASSERT_TRUE(engine.ok()) << engine.error();
  scheduler = std::make_unique<Scheduler>(std::move(*engine), [this](TimeNs due) {
    const std::lock_guard lock(mutex_);
    due_ = due;
    timer_moved_.notify_all();
  });
  timer_ = std::thread([this] { keep_time(); });
  scheduler->with_engine([this](Engine& e, TimeNs now) {
    std::vector<uint32_t> members;
    for (const auto& [slot, limit] : limits_) {
      e.set_endpoint(now, slot, limit, true);
      members.push_back(slot);
    }
    e.set_class(now, 0, members);
  });
  const auto sink = [this](const RequestRecord& r) {
    const std::lock_guard lock(mutex_);
    records_.emplace_back(r);
  };
  server = std::make_unique<HttpServer>(*scheduler, backends, make_settings(), sink,
                                        HttpServer::Options{threads, 1});
  auto bound = server->listen({"127.0.0.1", 0, "127.0.0.1:0"});
  ASSERT_TRUE(bound.ok()) << bound.error();
  port = *bound;
  server->start();
}

void ProxyTest::keep_time() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    const TimeNs now = Scheduler::now();
    if (due_ == kNever) {
      timer_moved_.wait(lock);
    } else if (due_ > now) {
      timer_moved_.wait_for(lock, std::chrono::nanoseconds(due_ - now));
    } else {
      due_ = kNever;
      lock.unlock();
      scheduler->tick();
      lock.lock();
    }
  }
}

RawMessage ProxyTest::ask(const std::string& bytes) {
  const auto socket = connect();
  if (!socket) return {};
  socket->send(bytes);
  return socket->read_message(bytes.starts_with("HEAD "));
}

std::string ProxyTest::post(const std::string& body, const std::string& headers,
                            const std::string& path) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::vector<KeptRecord> ProxyTest::records(size_t n) {
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex_);
    return records_.size() >= n;
  }));
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(records_.size(), n);
  return {records_.begin(), records_.end()};
}

std::string answer(const std::string& body, const std::string& headers, int status) {
  return "HTTP/1.1 " + std::to_string(status) + " Said\r\nContent-Type: application/json\r\n" +
         headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chunk(const std::string& text) {
  char size[20];
  std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + text + "\r\n";
}

void serve_forever(RawSocket& socket) {
  while (socket.read_message().complete && socket.send(answer(kAnswer))) {
  }
}

}  // namespace sluice
