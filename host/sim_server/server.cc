#include "host/sim_server/server.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <future>

#include "host/sim_server/core.h"

namespace sluice::sim_server {
namespace {
constexpr int kExitCannotBind = 5;
}  // namespace

SimServer::SimServer(asio::io_context& io, SimServerOptions options)
    : core_(std::make_shared<Core>(io, std::move(options))) {}

SimServer::~SimServer() { stop(); }

ErrorCode SimServer::start() { return core_->start(); }
void SimServer::stop() { core_->close(); }
uint16_t SimServer::port() const { return core_->port(); }
void SimServer::configure(const SimSettings& settings) { core_->configure(settings); }
const SimSettings& SimServer::settings() const { return core_->settings(); }
SimStats SimServer::stats() const { return core_->stats(); }

SimServerThread::SimServerThread(SimServerOptions options) : server_(io_, std::move(options)) {}

SimServerThread::~SimServerThread() { stop(); }

ErrorCode SimServerThread::start() {
  if (const ErrorCode error = server_.start()) return error;
  port_ = server_.port();
  thread_ = std::thread([this] {
    const auto work = asio::make_work_guard(io_);
    io_.run();
  });
  return {};
}

void SimServerThread::stop() {
  if (!thread_.joinable()) return;
  on_thread([this] {
    server_.stop();
    io_.stop();
  });
  thread_.join();
}

void SimServerThread::configure(const SimSettings& settings) {
  on_thread([this, &settings] { server_.configure(settings); });
}

SimSettings SimServerThread::settings() {
  SimSettings settings;
  on_thread([this, &settings] { settings = server_.settings(); });
  return settings;
}

SimStats SimServerThread::stats() {
  SimStats stats;
  on_thread([this, &stats] { stats = server_.stats(); });
  return stats;
}

void SimServerThread::on_thread(const std::function<void()>& action) {
  if (!thread_.joinable()) return action();
  std::promise<void> done;
  asio::post(io_, [&] {
    action();
    done.set_value();
  });
  done.get_future().wait();
}

int run_sim_server(const SimServerOptions& options) {
  asio::io_context io(1);
  SimServer server(io, options);
  if (const ErrorCode error = server.start()) {
    fmt::print(stderr, "error: cannot listen on {}:{}: {}\n", options.host, options.port,
               error.message());
    return kExitCannotBind;
  }
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](ErrorCode, int) {
    server.stop();
    io.stop();
  });
  const bool v6 = options.host.find(':') != std::string::npos;
  fmt::print("listening on {}{}{}:{}\n", v6 ? "[" : "", options.host, v6 ? "]" : "", server.port());
  std::fflush(stdout);
  io.run();
  return 0;
}

}  // namespace sluice::sim_server
