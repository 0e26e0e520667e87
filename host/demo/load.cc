#include "host/demo/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "host/demo/http_client.h"

namespace sluice::demo {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kBackoff = std::chrono::milliseconds(100);  // after anything but a 2xx
constexpr uint64_t kBytesPerToken = 4;
constexpr double kMs = 1e6;

double seconds_of(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

bool is_success(unsigned status) { return status >= 200 && status < 300; }

// Exactly BYTES long unless the beginning, which no other request shares, is longer.
std::string prompt(uint64_t number, uint64_t bytes) {
  constexpr std::string_view kFiller = "what goes first when there is not room for all? ";
  std::string text = fmt::format("request {}: ", number);
  while (text.size() < bytes) text += kFiller;
  text.resize(std::max<size_t>(bytes, 1));
  return text;
}

std::string request_text(const Group& group, const Target& target, uint64_t number,
                         uint32_t prompt_tokens, uint32_t output_tokens) {
  const nlohmann::json body = {
      {"model", group.model},
      {"messages",
       {{{"role", "user"}, {"content", prompt(number, prompt_tokens * kBytesPerToken)}}}},
      {"max_tokens", output_tokens},
      {"stream", true}};
  const std::string text = body.dump();
  std::string headers;
  if (!group.tenant.empty()) {
    headers += fmt::format("x-llm-d-inference-fairness-id: {}\r\n", group.tenant);
  }
  if (!group.objective.empty()) {
    headers += fmt::format("x-llm-d-inference-objective: {}\r\n", group.objective);
  }
  return fmt::format(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n"
      "{}Content-Length: {}\r\n\r\n{}",
      target.host, target.port, headers, text.size(), text);
}

// Not std::uniform_int_distribution, whose numbers differ between libraries.
uint32_t draw(std::mt19937& random, uint32_t min, uint32_t max) {
  return min == max ? min : min + static_cast<uint32_t>(random() % (max - min + 1));
}

struct Samples {
  std::vector<double> first_byte_ms, total_ms, queue_ms;
  uint64_t tokens = 0;
};

class Loader {
 public:
  Loader(const LoadPlan& plan, const std::function<void(const LoadProgress&)>& progress,
         nanoseconds interval)
      : plan_(plan),
        progress_(progress),
        interval_(interval),
        stop_(io_),
        drain_(io_),
        ticker_(io_),
        arrivals_(io_),
        signals_(io_, SIGINT, SIGTERM),
        samples_(plan.groups.size()),
        next_target_(plan.groups.size()) {
    for (const Target& target : plan.targets) {
      upstreams_.push_back(std::make_unique<Upstream>(
          io_, tcp::endpoint(asio::ip::make_address(target.host), target.port)));
    }
    for (const Group& group : plan.groups) {
      report_.groups.push_back({.name = group.name});
      lines_.push_back({.name = group.name});
    }
    recent_.resize(plan.groups.size());
  }

  LoadReport run() {
    begin_ = Clock::now();
    measure_from_ = begin_ + plan_.warmup;
    measure_to_ = measure_from_ + plan_.duration;
    tick_at_ = begin_;
    for (uint32_t g = 0; g < plan_.groups.size(); ++g) {
      for (uint32_t client = 0; client < plan_.groups[g].open; ++client) {
        spawn([this, g, client] { return closed_loop(g, client); });
      }
    }
    if (!plan_.arrivals.empty()) spawn([this] { return open_loop(); });
    stop_.expires_at(measure_to_);
    stop_.async_wait([this](ErrorCode error) {
      if (!error) stop();
    });
    signals_.async_wait([this](ErrorCode error, int) {
      if (error) return;
      report_.interrupted = true;
      stop();
      abort();
    });
    if (progress_) tick();
    if (active_ == 0) finish();
    io_.run();
    return summarise();
  }

 private:
  template <typename Work>
  void spawn(Work work) {
    ++active_;
    asio::co_spawn(io_, std::move(work), [this](std::exception_ptr) {
      if (--active_ == 0) finish();
    });
  }

  asio::awaitable<void> closed_loop(uint32_t g, uint32_t client) {
    const Group& group = plan_.groups[g];
    std::seed_seq seed{static_cast<uint32_t>(plan_.seed), static_cast<uint32_t>(plan_.seed >> 32),
                       g, client};
    std::mt19937 random(seed);
    asio::steady_timer pause(io_);
    while (!stopping_) {
      const uint32_t tokens = draw(random, group.tokens_min, group.tokens_max);
      const uint32_t prompt = draw(random, group.prompt_min, group.prompt_max);
      if (co_await one(g, prompt, tokens) || stopping_) continue;
      ErrorCode ignored;
      pause.expires_after(kBackoff);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  asio::awaitable<void> open_loop() {
    for (const Arrival& arrival : plan_.arrivals) {
      ErrorCode ignored;
      arrivals_.expires_at(begin_ + nanoseconds(arrival.at_ns));
      co_await arrivals_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (stopping_) break;
      spawn([this, &arrival]() -> asio::awaitable<void> {
        co_await one(arrival.group, arrival.prompt_tokens, arrival.output_tokens);
      });
    }
  }

  // One request and its answer; whether it was a success.
  asio::awaitable<bool> one(uint32_t g, uint32_t prompt_tokens, uint32_t output_tokens) {
    const size_t t = pick_target(g);
    GroupReport& report = report_.groups[g];
    LoadProgress::Line& line = lines_[g];
    ++report.sent;
    ++line.open;
    const std::string text =
        request_text(plan_.groups[g], plan_.targets[t], ++number_, prompt_tokens, output_tokens);
    const Exchange exchange = co_await upstreams_[t]->exchange(text);
    --line.open;
    if (exchange.answered) {
      ++report.answered;
      ++report.statuses[exchange.status];
      last_answer_ = Clock::now();
    } else if (report_.first_error.empty()) {
      report_.first_error = fmt::format("{}: {}", report.name, exchange.error);
    }
    if (!exchange.answered || !is_success(exchange.status)) {
      ++line.failed;
      co_return false;
    }
    ++line.done;
    ++done_since_tick_;
    if (exchange.tokens != output_tokens) ++report.inexact;
    const double first_byte_ms = static_cast<double>(exchange.first_byte_ns) / kMs;
    recent_[g].push_back(first_byte_ms);
    const auto end = exchange.begin + nanoseconds(exchange.total_ns);
    if (!plan_.arrivals.empty() || (end >= measure_from_ && end < measure_to_)) {
      Samples& samples = samples_[g];
      samples.first_byte_ms.push_back(first_byte_ms);
      samples.total_ms.push_back(static_cast<double>(exchange.total_ns) / kMs);
      if (exchange.queue_ms >= 0) samples.queue_ms.push_back(exchange.queue_ms);
      samples.tokens += exchange.tokens;
    }
    co_return true;
  }

  // The next target in turn that serves the group's model; the first if none says so.
  size_t pick_target(uint32_t g) {
    if (plan_.groups[g].target) return *plan_.groups[g].target;
    for (size_t i = 0; i < plan_.targets.size(); ++i) {
      const size_t t = next_target_[g]++ % plan_.targets.size();
      const std::string& model = plan_.targets[t].model;
      if (model.empty() || model == plan_.groups[g].model) return t;
    }
    return 0;
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    stop_.cancel();
    arrivals_.cancel();
    drain_.expires_after(plan_.drain);
    drain_.async_wait([this](ErrorCode error) {
      if (!error) abort();
    });
    if (active_ == 0) finish();
  }

  void abort() {
    for (auto& upstream : upstreams_) upstream->abort();
  }

  // Nothing is under way; closed loops end only after stop(), an open loop may be through before.
  void finish() {
    if (!stopping_ && plan_.arrivals.empty() && !plan_.groups.empty()) return;
    stopping_ = true;
    stop_.cancel();
    drain_.cancel();
    ticker_.cancel();
    signals_.cancel();
    for (auto& upstream : upstreams_) upstream->abort();
  }

  void tick() {
    ticker_.expires_after(interval_);
    ticker_.async_wait([this](ErrorCode error) {
      if (error) return;
      const auto now = Clock::now();
      LoadProgress progress;
      progress.seconds = seconds_of(now - begin_);
      progress.seconds_total = seconds_of(plan_.warmup + plan_.duration);
      progress.per_second = static_cast<double>(done_since_tick_) / seconds_of(now - tick_at_);
      progress.draining = stopping_;
      progress.lines = lines_;
      for (size_t g = 0; g < recent_.size(); ++g) {
        progress.lines[g].first_byte_p50_ms = demo::summarise(std::move(recent_[g])).p50;
        recent_[g].clear();
      }
      done_since_tick_ = 0;
      tick_at_ = now;
      progress_(progress);
      tick();
    });
  }

  LoadReport summarise() {
    report_.seconds = seconds_of(std::max(last_answer_, begin_) - begin_);
    const double window =
        plan_.arrivals.empty() ? seconds_of(plan_.duration) : std::max(report_.seconds, 1e-3);
    for (size_t g = 0; g < report_.groups.size(); ++g) {
      GroupReport& group = report_.groups[g];
      Samples& samples = samples_[g];
      group.per_second = static_cast<double>(samples.total_ms.size()) / window;
      group.tokens_per_second = static_cast<double>(samples.tokens) / window;
      group.first_byte_ms = demo::summarise(std::move(samples.first_byte_ms));
      group.total_ms = demo::summarise(std::move(samples.total_ms));
      group.queue_ms = demo::summarise(std::move(samples.queue_ms));
      report_.per_second += group.per_second;
      report_.tokens_per_second += group.tokens_per_second;
    }
    return std::move(report_);
  }

  const LoadPlan& plan_;
  const std::function<void(const LoadProgress&)>& progress_;
  const nanoseconds interval_;
  asio::io_context io_{1};
  asio::steady_timer stop_, drain_, ticker_, arrivals_;
  asio::signal_set signals_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;

  Clock::time_point begin_, measure_from_, measure_to_, tick_at_, last_answer_;
  bool stopping_ = false;
  size_t active_ = 0;  // coroutines
  uint64_t number_ = 0, done_since_tick_ = 0;
  std::vector<Samples> samples_;
  std::vector<size_t> next_target_;
  std::vector<LoadProgress::Line> lines_;
  std::vector<std::vector<double>> recent_;
  LoadReport report_;
};

}  // namespace

uint64_t LoadReport::sent() const {
  uint64_t sum = 0;
  for (const GroupReport& group : groups) sum += group.sent;
  return sum;
}

uint64_t LoadReport::answered() const {
  uint64_t sum = 0;
  for (const GroupReport& group : groups) sum += group.answered;
  return sum;
}

const GroupReport& LoadReport::group(const std::string& name) const {
  return *std::find_if(groups.begin(), groups.end(),
                       [&](const GroupReport& group) { return group.name == name; });
}

LoadReport run_load(const LoadPlan& plan, const std::function<void(const LoadProgress&)>& progress,
                    nanoseconds interval) {
  return Loader(plan, progress, interval).run();
}

}  // namespace sluice::demo
