#include "tests/unit/http/raw_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace sluice {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

uint16_t bind_any(int fd) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) return 0;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

}  // namespace

bool eventually(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

int RawMessage::status() const {
  return start_line.starts_with("HTTP/1.1 ") ? std::atoi(start_line.c_str() + 9) : 0;
}

std::string RawMessage::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::unique_ptr<RawSocket> RawSocket::connect(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(fd);
    return nullptr;
  }
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  return std::make_unique<RawSocket>(fd);
}

bool RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

std::string RawSocket::receive() {
  if (!buffer_.empty()) return std::exchange(buffer_, {});
  char bytes[65536];
  const ssize_t n = ::recv(fd_, bytes, sizeof(bytes), 0);
  return n > 0 ? std::string(bytes, static_cast<size_t>(n)) : std::string();
}

bool RawSocket::receive_until(std::string_view text) {
  std::string all;
  while (all.find(text) == all.npos) {
    const std::string more = receive();
    if (more.empty()) {
      buffer_ = all;
      return false;
    }
    all += more;
  }
  buffer_ = all;
  return true;
}

RawMessage RawSocket::read_message(bool no_body) {
  RawMessage message;
  if (!receive_until("\r\n\r\n")) return message;
  std::string all = std::exchange(buffer_, {});
  const size_t head_end = all.find("\r\n\r\n") + 4;
  message.head = all.substr(0, head_end);
  all.erase(0, head_end);
  size_t at = message.head.find("\r\n");
  message.start_line = message.head.substr(0, at);
  for (at += 2; at + 2 < head_end;) {
    const size_t end = message.head.find("\r\n", at);
    const std::string line = message.head.substr(at, end - at);
    const size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    message.headers.emplace(name, line.substr(std::min(line.size(), colon + 2)));
    at = end + 2;
  }
  // Makes ALL at least N bytes long.
  const auto need = [&](size_t n) {
    while (all.size() < n) {
      const std::string more = receive();
      if (more.empty()) return false;
      all += more;
    }
    return true;
  };
  const int status = message.status();
  message.complete = true;
  if (no_body || status == 204 || status == 304 || (status >= 100 && status < 200)) {
  } else if (message.has("content-length")) {
    const size_t n = std::stoul(message.header("content-length"));
    message.complete = need(n);
    message.body = all.substr(0, n);
    all.erase(0, message.body.size());
  } else if (message.has("transfer-encoding")) {
    for (;;) {
      size_t eol = 0;
      while ((eol = all.find("\r\n")) == all.npos && need(all.size() + 1)) {
      }
      if (eol == all.npos) {
        message.complete = false;
        break;
      }
      const size_t n = std::stoul(all.substr(0, eol), nullptr, 16);
      if (!need(eol + 2 + n + 2)) {
        message.complete = false;
        message.body += all.substr(eol + 2, n);
        all.clear();
        break;
      }
      message.body += all.substr(eol + 2, n);
      all.erase(0, eol + 2 + n + 2);
      if (n == 0) break;
    }
  } else if (status != 0) {
    message.complete = ended(&message.body);
    message.body = all + message.body;
    all.clear();
  }
  buffer_ = all;
  return message;
}

bool RawSocket::ended(std::string* rest) {
  std::string all = std::exchange(buffer_, {});
  bool over = false;
  for (;;) {
    char bytes[65536];
    const ssize_t n = ::recv(fd_, bytes, sizeof(bytes), 0);
    if (n > 0) {
      all.append(bytes, static_cast<size_t>(n));
      continue;
    }
    over = n == 0 || errno == ECONNRESET;
    break;
  }
  if (rest != nullptr) *rest += all;
  return over;
}

void RawSocket::close() {
  const std::lock_guard lock(closing_);
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}
void RawSocket::finish_sending() { ::shutdown(fd_, SHUT_WR); }
void RawSocket::interrupt() {
  const std::lock_guard lock(closing_);
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}
void RawSocket::reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  close();
}

RawServer::RawServer(Script script) : script_(std::move(script)) {
  fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
  port_ = bind_any(fd_);
  ::listen(fd_, 128);
  acceptor_ = std::thread([this] { accept(); });
}

RawServer::~RawServer() {
  stopping_ = true;
  ::shutdown(fd_, SHUT_RDWR);
  acceptor_.join();
  ::close(fd_);
  for (Connection& connection : open_) connection.socket->interrupt();
  for (Connection& connection : open_) connection.thread.join();
}

void RawServer::accept() {
  while (!stopping_) {
    const int fd = ::accept(fd_, nullptr, nullptr);
    if (fd < 0) continue;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ++connections_;
    auto socket = std::make_shared<RawSocket>(fd);
    const std::lock_guard lock(mutex_);
    open_.push_back({socket, std::thread([this, socket] {
                       script_(*socket);
                       socket->interrupt();
                     })});
  }
}

uint16_t closed_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const uint16_t port = bind_any(fd);
  ::close(fd);
  return port;
}

}  // namespace sluice
