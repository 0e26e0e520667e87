#include "host/http/client.h"

#include "host/http/limits.h"

namespace sluice {
namespace {

IpAddress address_of(const Socket& socket) {
  ErrorCode ec;
  const tcp::endpoint endpoint = socket.remote_endpoint(ec);
  if (ec) return {};
  const asio::ip::address address = endpoint.address();
  return address.is_v4() ? IpAddress::v4(address.to_v4().to_bytes())
                         : IpAddress::v6(address.to_v6().to_bytes());
}

}  // namespace

Client::Client(Socket socket) : socket_(std::move(socket)), peer_(address_of(socket_)) {
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
}

std::string_view Client::unread() const {
  const auto data = buffer_.cdata();
  return {static_cast<const char*>(data.data()), data.size()};
}

Task<ErrorCode> Client::fill(size_t step) {
  ErrorCode ec;
  if (buffer_.size() == 0) {
    buffer_.shrink_to_fit();
    co_await socket_.async_wait(Socket::wait_read, into(ec));
    if (ec) co_return ec;
  }
  const size_t n = co_await socket_.async_read_some(buffer_.prepare(step), into(ec));
  if (!ec) buffer_.commit(n);
  co_return ec;
}

Task<ErrorCode> Client::write(asio::const_buffer data) { return write_all(socket_, data); }

void Client::watch(std::shared_ptr<void> owner, std::function<void()> gone) {
  gone_ = std::move(gone);
  if (!waiting_) wait_readable(std::move(owner));
}

void Client::wait_readable(std::shared_ptr<void> owner) {
  waiting_ = true;
  socket_.async_wait(Socket::wait_read, [this, owner = std::move(owner)](ErrorCode ec) mutable {
    waiting_ = false;
    if (!ec && gone_) look(std::move(owner));
  });
}

void Client::look(std::shared_ptr<void> owner) {
  if (buffer_.size() >= kLookaheadMax) overrun_ = true;
  if (overrun_) buffer_.clear();
  ErrorCode ec;
  const size_t n = socket_.read_some(buffer_.prepare(kHeadStep), ec);
  if (!ec) buffer_.commit(n);
  if (!ec || ec == asio::error::would_block || ec == asio::error::try_again) {
    return wait_readable(std::move(owner));
  }
  const auto gone = std::exchange(gone_, nullptr);
  gone();
}

Task<ErrorCode> write_all(Socket& socket, asio::const_buffer data) {
  ErrorCode ec;
  const size_t n = socket.write_some(data, ec);
  if (!ec) data += n;
  if (ec == asio::error::would_block || ec == asio::error::try_again) ec = {};
  if (!ec && data.size() != 0) co_await asio::async_write(socket, data, into(ec));
  co_return ec;
}

}  // namespace sluice
