// A client's connection: its socket, what has been read of it and not used, and a look-out for its
// leaving.
//
// Threads: its executor's. Ownership: held by its session; handlers keep the session by the owner
// that is given to them. Memory: an idle or waiting connection holds no buffer.
#pragma once

#include <functional>
#include <memory>

#include "host/http/net.h"
#include "host/request/cidr.h"

namespace sluice {

class Client {
 public:
  explicit Client(Socket socket);

  Socket& socket() { return socket_; }
  const Peer& peer() const { return peer_; }
  // Bytes that came and were not consumed: the next request, or what is left of this one.
  beast::flat_buffer& buffer() { return buffer_; }
  std::string_view unread() const;

  // Waits for bytes and adds up to STEP of them to the buffer. Takes no memory while it waits if
  // the buffer is empty.
  Task<ErrorCode> fill(size_t step);
  // Writes all of DATA.
  Task<ErrorCode> write(asio::const_buffer data);

  // Calls GONE once if the client leaves, until unwatch(). Bytes of a next request are kept; beyond
  // kLookaheadMax of them they are thrown away, so that a leaving shows behind however many, and
  // the connection serves no other request. OWNER keeps this object alive.
  void watch(std::shared_ptr<void> owner, std::function<void()> gone);
  void unwatch() { gone_ = nullptr; }
  bool overrun() const { return overrun_; }

 private:
  void wait_readable(std::shared_ptr<void> owner);
  void look(std::shared_ptr<void> owner);

  Socket socket_;
  Peer peer_;
  beast::flat_buffer buffer_;
  std::function<void()> gone_;
  bool waiting_ = false;  // a wait_readable() has not ended
  bool overrun_ = false;  // bytes were thrown away
};

// Writes all of DATA to SOCKET: at once as far as its buffer takes it, then by waiting.
Task<ErrorCode> write_all(Socket& socket, asio::const_buffer data);

}  // namespace sluice
