// The Asio types of the proxy, bound to io_context itself: no type erasure on the request path.
#pragma once

#include "host/net/asio.h"

namespace sluice {

using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
template <typename T>
using Task = asio::awaitable<T, Executor>;
inline constexpr asio::use_awaitable_t<Executor> kUseTask;

// Completion token: the coroutine goes on with the operation's error in EC, nothing is thrown.
inline auto into(ErrorCode& ec) { return asio::redirect_error(kUseTask, ec); }

// Closes without asking how it went.
inline void close(Socket& socket) {
  ErrorCode ignored;
  socket.close(ignored);
}

}  // namespace sluice
