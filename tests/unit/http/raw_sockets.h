// Both ends of the proxy as plain blocking sockets, for tests that need to send and see exact
// bytes.
//
// Every read gives up after kPatience, so that a proxy that hangs fails a test rather than stops
// it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice {

inline constexpr std::chrono::seconds kPatience(10);

// Polls until DONE is true; false if that takes longer than kPatience.
bool eventually(const std::function<bool()>& done);

struct RawMessage {
  bool complete = false;  // head and body came whole, as framed
  std::string start_line, head, body;
  std::multimap<std::string, std::string> headers;  // names in lower case
  int status() const;
  std::string header(const std::string& name) const;  // "" if absent
  bool has(const std::string& name) const { return headers.count(name) != 0; }
};

class RawSocket {
 public:
  explicit RawSocket(int fd) : fd_(fd) {}
  ~RawSocket() { close(); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;
  // To 127.0.0.1.
  static std::unique_ptr<RawSocket> connect(uint16_t port);

  bool send(std::string_view bytes);
  // What has come, at least one byte; "" at the end or after kPatience.
  std::string receive();
  // Reads until TEXT has come (and maybe more, which stays); false if it never does.
  bool receive_until(std::string_view text);
  // The next message: a request, or an answer (to HEAD: without a body).
  RawMessage read_message(bool no_body = false);
  // Whether the other side ends the connection, by a close or a reset; what comes first goes into
  // REST.
  bool ended(std::string* rest = nullptr);

  void close();
  void finish_sending();
  void reset();      // closes with a TCP reset
  void interrupt();  // from any thread: whoever reads or writes sees the end
  const std::string& unread() const { return buffer_; }

 private:
  std::mutex closing_;  // interrupt() may come from another thread
  int fd_;
  std::string buffer_;
};

// A server whose every connection runs SCRIPT in a thread of its own.
class RawServer {
 public:
  using Script = std::function<void(RawSocket&)>;
  explicit RawServer(Script script);
  ~RawServer();
  uint16_t port() const { return port_; }
  int connections() const { return connections_; }

 private:
  struct Connection {
    std::shared_ptr<RawSocket> socket;
    std::thread thread;
  };
  void accept();

  Script script_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<Connection> open_;
  std::thread acceptor_;
};

// A port at 127.0.0.1 at which nobody listens.
uint16_t closed_port();

}  // namespace sluice
