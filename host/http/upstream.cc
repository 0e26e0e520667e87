#include "host/http/upstream.h"

#include <algorithm>

#include "host/http/limits.h"
#include "host/net/resolve.h"

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

Task<bool> write_request(Socket& socket, std::vector<asio::const_buffer> pieces) {
  struct Wait {
    Socket* socket;
    bool readable = false;
  };
  for (;;) {
    ErrorCode ec;
    size_t n = socket.write_some(pieces, ec);
    size_t whole = 0;
    for (; whole < pieces.size() && n >= pieces[whole].size(); ++whole) n -= pieces[whole].size();
    pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(whole));
    if (pieces.empty()) co_return true;
    pieces.front() += n;
    if (!ec) continue;
    if (ec != asio::error::would_block && ec != asio::error::try_again) co_return false;
    const auto wait = std::make_shared<Wait>(Wait{&socket});
    socket.async_wait(Socket::wait_read, [wait](ErrorCode aborted) {
      if (aborted || wait->socket == nullptr) return;
      wait->readable = true;
      ErrorCode ignored;
      wait->socket->cancel(ignored);
    });
    co_await socket.async_wait(Socket::wait_write, into(ec));
    wait->socket = nullptr;
    if (ec || wait->readable) co_return false;
    socket.cancel(ec);  // the other wait
    if (ec) co_return false;
  }
}

Task<ErrorCode> connect(UpstreamConnection& connection, const EndpointAddress& address,
                        Watchdog& watchdog, uint64_t timeout_ns) {
  ErrorCode ec = asio::error::host_not_found;
  ErrorCode ignored;
  for (const tcp::endpoint& endpoint : resolve(address.host, address.port)) {
    ec = {};
    connection.socket.close(ignored);  // may be of the other family
    connection.socket.open(endpoint.protocol(), ec);
    if (ec) continue;
    watchdog.arm(timeout_ns, connection.socket);
    co_await connection.socket.async_connect(endpoint, into(ec));
    watchdog.disarm();
    if (!ec || ec == asio::error::operation_aborted) break;
  }
  if (ec) co_return ec;
  connection.socket.non_blocking(true, ignored);
  connection.socket.set_option(tcp::no_delay(true), ignored);
  co_return ec;
}

}  // namespace sluice
