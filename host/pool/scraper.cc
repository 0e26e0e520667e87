#include "host/pool/scraper.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/pool/model_list.h"
#include "host/pool/pool_limits.h"
#include "host/scheduler/scheduler.h"

namespace sluice {

Scraper::Scraper(asio::io_context& control, ScrapeObserver& observer, uint32_t slot,
                 const EndpointAddress& address, ScrapeOptions options)
    : observer_(&observer),
      slot_(slot),
      options_(std::move(options)),
      get_(control.get_executor(), address),
      timer_(control),
      timeout_(std::max(options_.interval_ns, kScrapeTimeoutMinNs)) {}

void Scraper::start() {
  asio::co_spawn(
      timer_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
}

void Scraper::stop() {
  stopped_ = true;
  observer_ = nullptr;
  get_.close();
  timer_.cancel();
}

asio::awaitable<void> Scraper::run() {
  while (!stopped_) {
    const TimeNs began = Scheduler::now();
    const bool reached = co_await scrape();
    if (!stopped_ && reached && options_.learn_models && began >= models_due_ns_) {
      models_due_ns_ = began + kModelsIntervalNs;
      co_await fetch_models();
    }
    if (stopped_) break;
    observer_->on_round(slot_);
    if (stopped_) break;
    const TimeNs interval = misses_ < kMissesPatient
                                ? options_.interval_ns
                                : std::max(options_.interval_ns, kScrapeIntervalMissingNs);
    const TimeNs now = Scheduler::now();
    timer_.expires_after(
        std::chrono::nanoseconds(began + interval > now ? began + interval - now : 0));
    ErrorCode ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<bool> Scraper::scrape() {
  observer_->on_asking(slot_);
  const TimeNs sent = Scheduler::now();
  const HttpGet::Answer answer = co_await get_.get(options_.path, timeout_);
  if (stopped_) co_return false;
  switch (answer.result) {
    case HttpGet::Result::kNoConnection:
      miss(ScrapeObserver::Miss::kNoConnection, answer.error);
      co_return false;
    case HttpGet::Result::kBroken:
      co_return miss(ScrapeObserver::Miss::kBroken, answer.error);
    case HttpGet::Result::kAnswered:
      break;
  }
  if (answer.status != 200) {
    co_return miss(ScrapeObserver::Miss::kStatus,
                   fmt::format("{} answers with status {}", options_.path, answer.status));
  }
  EngineReading reading = read_engine_metrics(options_.engine, answer.body, options_.columns);
  if (!reading.usable) {
    co_return miss(
        ScrapeObserver::Miss::kUnusable,
        fmt::format("{} holds no metrics of this engine; see [pool.scrape] engine", options_.path));
  }
  misses_ = 0;
  reading.report.taken_ns = sent;
  observer_->on_reading(slot_, std::move(reading));
  co_return true;
}

asio::awaitable<void> Scraper::fetch_models() {
  const HttpGet::Answer answer = co_await get_.get("/v1/models", timeout_);
  if (stopped_) co_return;
  if (answer.result != HttpGet::Result::kAnswered || answer.status >= 500) {
    models_due_ns_ = Scheduler::now() + kModelsRetryNs;  // likely still loading
    co_return;
  }
  if (answer.status != 200) co_return;
  if (auto names = parse_model_list(answer.body)) observer_->on_models(slot_, std::move(*names));
}

bool Scraper::miss(ScrapeObserver::Miss miss, const std::string& why) {
  if (misses_ < kMissesPatient) misses_++;
  observer_->on_miss(slot_, miss, why);
  return true;
}

}  // namespace sluice
