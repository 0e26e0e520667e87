// Asks one endpoint over and over how it is: its metrics at a steady interval, its models now and
// then.
//
// One connection, one request at a time, so an endpoint that hangs is asked once per timeout and no
// more. What is found goes to an observer; nothing is judged here. After many failures in a row it
// asks less often. Threads: all of it runs on the control io_context. Ownership: keeps itself alive
// while it runs; after stop() the observer is not called again and may go.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/net/asio.h"
#include "host/pool/backends.h"
#include "host/pool/engine_metrics.h"
#include "host/pool/http_get.h"

namespace sluice {

struct ScrapeOptions {
  config::EngineKind engine = config::EngineKind::kVllm;
  std::string path = "/metrics";
  TimeNs interval_ns = 50'000'000;
  std::vector<EndpointColumn> columns;
  bool learn_models = true;  // ask for /v1/models
};

class ScrapeObserver {
 public:
  enum class Miss : uint8_t {
    kNoConnection,
    kBroken,    // no whole answer, or not in time
    kStatus,    // not a 200
    kUnusable,  // a page without the engine's metrics
  };

  static constexpr int kMisses = 4;

  virtual ~ScrapeObserver() = default;
  // Its metrics are about to be asked for.
  virtual void on_asking(uint32_t slot) = 0;
  // READING's report says when it was taken. The scrape was good.
  virtual void on_reading(uint32_t slot, EngineReading reading) = 0;
  virtual void on_miss(uint32_t slot, Miss miss, const std::string& why) = 0;
  virtual void on_models(uint32_t slot, std::vector<std::string> names) = 0;
  // All that was due has been asked; the next round begins after the interval.
  virtual void on_round(uint32_t slot) = 0;
};

class Scraper : public std::enable_shared_from_this<Scraper> {
 public:
  Scraper(asio::io_context& control, ScrapeObserver& observer, uint32_t slot,
          const EndpointAddress& address, ScrapeOptions options);

  void start();
  void stop();
  // Asks for the models again with the next scrape that connects.
  void ask_models() { models_due_ns_ = 0; }

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> scrape();  // whether the endpoint could be reached
  asio::awaitable<void> fetch_models();
  bool miss(ScrapeObserver::Miss miss, const std::string& why);

  ScrapeObserver* observer_;
  uint32_t slot_;
  ScrapeOptions options_;
  HttpGet get_;
  asio::steady_timer timer_;
  std::chrono::nanoseconds timeout_;
  TimeNs models_due_ns_ = 0;
  uint32_t misses_ = 0;  // in a row
  bool stopped_ = false;
};

}  // namespace sluice
