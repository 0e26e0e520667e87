#include "host/sim_server/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "host/sim_server/batch.h"
#include "host/sim_server/connection.h"
#include "host/sim_server/step_batch.h"

namespace sluice::sim_server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kAcceptRetry{10};  // when there are no descriptors left

TimeNs now_ns() {
  return static_cast<TimeNs>(std::chrono::nanoseconds(Clock::now().time_since_epoch()).count());
}

BatchLimits limits_of(const SimSettings& settings) {
  return {.max_num_seqs = std::max(1u, settings.max_num_seqs),
          .max_waiting = settings.max_waiting,
          .kv_tokens = settings.kv_tokens,
          .time_to_first_token_ns = settings.time_to_first_token_ns,
          .inter_token_latency_ns = settings.inter_token_latency_ns};
}

std::unique_ptr<Batching> make_batch(const SimServerOptions& options) {
  const BatchLimits limits = limits_of(options.settings);
  if (options.steps.base_ns == 0) return std::make_unique<Batch>(limits);
  return std::make_unique<StepBatch>(options.steps, limits);
}

// A model's name may hold what a header must not.
std::string header_safe(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  }
  return text;
}

}  // namespace

Core::Core(asio::io_context& io, SimServerOptions options)
    : io_(io),
      options_(std::move(options)),
      acceptor_(io),
      timer_(io),
      failure_timer_(io),
      batch_(make_batch(options_)),
      random_(options_.seed) {
  if (options_.models.empty()) options_.models.emplace_back("sim-model");
}

ErrorCode Core::start() {
  port_ = options_.port;
  if (auto error = bind()) return error;
  ErrorCode error;
  port_ = acceptor_.local_endpoint(error).port();
  if (error) return error;
  const std::string& name = options_.name.empty() ? options_.models.front() : options_.name;
  name_header_ = fmt::format("x-sim-server: {}:{}\r\n", header_safe(name), port_);
  configure(options_.settings);
  return settings().failure == Failure::kRefuse ? ErrorCode() : listen();
}

void Core::close() {
  closed_ = true;
  ErrorCode ignored;
  acceptor_.close(ignored);
  timer_.cancel();
  failure_timer_.cancel();
  reset_connections(nullptr);
}

void Core::configure(const SimSettings& settings, const Connection* except) {
  const bool was_refusing = options_.settings.failure == Failure::kRefuse;
  const bool refuses = settings.failure == Failure::kRefuse;
  options_.settings = settings;
  batch_->set_limits(limits_of(settings), now_ns());
  note();
  arm();
  failure_timer_.cancel();
  if (settings.failure != Failure::kOff && settings.failure_for_ns != 0) {
    failure_timer_.expires_after(std::chrono::nanoseconds(settings.failure_for_ns));
    failure_timer_.async_wait([self = shared_from_this()](ErrorCode error) {
      if (error || self->closed_) return;
      SimSettings well = self->settings();
      well.failure = Failure::kOff;
      self->configure(well);
    });
  }
  if (refuses && !was_refusing) {
    // Bound without listening, so that the port stays ours while it refuses.
    ErrorCode ignored;
    acceptor_.close(ignored);
    reset_connections(except);
    bind();
  } else if (was_refusing && !refuses) {
    listen();
  }
}

SimStats Core::stats() const {
  SimStats stats = counters_;
  stats.running = batch_->running();
  stats.waiting = batch_->waiting();
  stats.resident_tokens = batch_->resident_tokens();
  stats.preemptions = batch_->preemptions();
  stats.waiting_ns += waiting_ * (now_ns() - noted_);
  return stats;
}

void Core::count_tokens(const std::string& tenant, TokenCount tokens) {
  const bool known = counters_.tenants.size() < kTenantsMax || counters_.tenants.contains(tenant);
  TokenCount& sum = counters_.tenants[known ? tenant : std::string()];
  sum.prompt += tokens.prompt;
  sum.output += tokens.output;
  counters_.prompt_tokens += tokens.prompt;
  counters_.generation_tokens += tokens.output;
}

bool Core::failure_strikes() {
  if (settings().failure == Failure::kOff) return false;
  return std::uniform_real_distribution<double>(0, 1)(random_) < settings().failure_rate;
}

Batching::Admission Core::submit(uint64_t id, const ModelRequest& request, Connection& owner) {
  // An embedding takes a slot for the time to the first token, and answers with it.
  const uint32_t steps = std::max(1u, request.output_tokens);
  const auto admission = batch_->submit(id, request.prompt_tokens, steps, now_ns());
  if (admission != Batching::Admission::kAccepted) return admission;
  owners_.emplace(id, &owner);
  note();
  arm();
  return admission;
}

void Core::cancel(uint64_t id) {
  if (owners_.erase(id) == 0) return;
  batch_->cancel(id, now_ns());
  ++counters_.aborted;
  note();
  arm();
}

ErrorCode Core::bind() {
  ErrorCode error;
  const auto address = asio::ip::make_address(options_.host, error);
  if (error) return error;
  const tcp::endpoint endpoint(address, port_);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  return error;
}

ErrorCode Core::listen() {
  ErrorCode error;
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) {
    asio::co_spawn(
        io_, [self = shared_from_this()] { return self->accept(); }, asio::detached);
  }
  return error;
}

asio::awaitable<void> Core::accept() {
  asio::steady_timer pause(io_);
  while (!closed_) {
    ErrorCode error;
    tcp::socket socket =
        co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      pause.expires_after(kAcceptRetry);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    std::make_shared<Connection>(shared_from_this(), std::move(socket))->start();
  }
}

void Core::reset_connections(const Connection* except) {
  const std::vector<Connection*> all(connections_.begin(), connections_.end());
  for (Connection* connection : all) {
    if (connection != except) connection->reset();
  }
}

void Core::tick() {
  tokens_.clear();
  batch_->advance(now_ns(), tokens_);
  note();
  for (const Batching::Token& token : tokens_) {
    const auto it = owners_.find(token.id);
    if (it == owners_.end()) continue;  // its connection ended on an earlier token of this tick
    Connection& owner = *it->second;
    if (token.last) owners_.erase(it);
    owner.on_token(token);
  }
  arm();
}

void Core::arm() {
  const TimeNs next = closed_ ? kNever : batch_->next_deadline();
  if (next == armed_) return;
  armed_ = next;
  if (next == kNever) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(Clock::time_point(std::chrono::nanoseconds(next)));
  timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (error) return;
    self->armed_ = kNever;
    self->tick();
  });
}

void Core::note() {
  const TimeNs now = now_ns();
  counters_.waiting_ns += waiting_ * (now - noted_);
  noted_ = now;
  waiting_ = batch_->waiting();
  counters_.peak_running = std::max<uint64_t>(counters_.peak_running, batch_->running());
  counters_.peak_waiting = std::max<uint64_t>(counters_.peak_waiting, waiting_);
}

}  // namespace sluice::sim_server
