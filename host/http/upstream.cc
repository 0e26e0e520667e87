#include "host/http/upstream.h"

#include <algorithm>

#include "host/http/limits.h"

namespace sluice {
namespace {

// The server has neither closed nor said anything unasked.
bool quiet(Socket& socket) {
  char byte = 0;
  ErrorCode ec;
  socket.receive(asio::buffer(&byte, 1), Socket::message_peek, ec);
  return ec == asio::error::would_block || ec == asio::error::try_again;
}

}  // namespace

UpstreamPool::UpstreamPool(Executor executor)
    : executor_(executor), timer_(std::make_shared<Timer>(executor)) {}

std::unique_ptr<UpstreamConnection> UpstreamPool::take(const EndpointAddress& address) {
  const auto found = idle_.find(address.authority);
  if (found == idle_.end()) return nullptr;
  Idle& idle = found->second;
  while (!idle.empty()) {
    std::unique_ptr<UpstreamConnection> connection = std::move(idle.back());
    idle.pop_back();
    if (!quiet(connection->socket)) continue;
    connection->reused = true;
    return connection;
  }
  return nullptr;
}

void UpstreamPool::give(const EndpointAddress& address,
                        std::unique_ptr<UpstreamConnection> connection) {
  if (closed_) return;
  Idle& idle = idle_[address.authority];
  if (idle.size() >= kUpstreamIdleMax) return;
  connection->buffer.shrink_to_fit();
  connection->idle_since = Clock::now();
  idle.push_back(std::move(connection));
  schedule_prune();
}

void UpstreamPool::close() {
  closed_ = true;
  idle_.clear();
  timer_->cancel();
}

size_t UpstreamPool::idle() const {
  size_t n = 0;
  for (const auto& [authority, idle] : idle_) n += idle.size();
  return n;
}

void UpstreamPool::schedule_prune() {
  if (std::exchange(pruning_, true)) return;
  timer_->expires_after(std::chrono::nanoseconds(kUpstreamIdleNs / 2));
  timer_->async_wait([this, timer = timer_](ErrorCode ec) {
    if (ec || closed_) return;
    pruning_ = false;
    prune();
    if (!idle_.empty()) schedule_prune();
  });
}

void UpstreamPool::prune() {
  const Clock::time_point oldest = Clock::now() - std::chrono::nanoseconds(kUpstreamIdleNs);
  for (auto it = idle_.begin(); it != idle_.end();) {
    Idle& idle = it->second;
    std::erase_if(idle,
                  [&](const auto& one) { return one->idle_since < oldest || !quiet(one->socket); });
    it = idle.empty() ? idle_.erase(it) : std::next(it);
  }
}

Task<ErrorCode> connect(UpstreamConnection& connection, const EndpointAddress& address,
                        Watchdog& watchdog, uint64_t timeout_ns) {
  ErrorCode ec;
  const asio::ip::address ip = address.host == "localhost"
                                   ? asio::ip::address_v4::loopback()
                                   : asio::ip::make_address(address.host, ec);
  if (ec) co_return ec;
  const tcp::endpoint endpoint(ip, address.port);
  connection.socket.open(endpoint.protocol(), ec);
  if (ec) co_return ec;
  watchdog.arm(timeout_ns, connection.socket);
  co_await connection.socket.async_connect(endpoint, into(ec));
  watchdog.disarm();
  if (ec) co_return ec;
  ErrorCode ignored;
  connection.socket.non_blocking(true, ignored);
  connection.socket.set_option(tcp::no_delay(true), ignored);
  co_return ec;
}

}  // namespace sluice
