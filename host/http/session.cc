#include "host/http/session.h"

#include <spdlog/spdlog.h>

#include "host/http/limits.h"

namespace sluice {

Session::Session(std::shared_ptr<Worker> worker, Socket socket, std::function<void()> over)
    : worker_(std::move(worker)),
      client_(std::move(socket)),
      watchdog_(std::make_shared<Watchdog>(worker_->context.get_executor())),
      over_(std::move(over)) {}

void Session::start() {
  worker_->sessions.insert(this);
  asio::co_spawn(
      worker_->context.get_executor(), [self = shared_from_this()] { return self->run(); },
      [self = shared_from_this()](const std::exception_ptr& fault) {
        if (fault)
          spdlog::error("http: a connection was dropped: out of memory or a bug in the proxy");
        close(self->client_.socket());
        self->watchdog_->stop();
        self->exchange_.reset();
        self->worker_->sessions.erase(self.get());
        self->over_();
      });
}

void Session::retire() {
  if (waiting_) close(client_.socket());
}

void Session::abandon() {
  close(client_.socket());
  if (exchange_) exchange_->abandon();
}

Task<void> Session::run() {
  // Not `while (co_await ...)`: g++ 12 makes that a trap.
  bool more = true;
  while (more) more = co_await serve_one();
}

Task<bool> Session::serve_one() {
  IncomingRequest request;
  Refusal refusal;
  const std::shared_ptr<const HttpSettings> settings = worker_->settings;
  const HttpSettings& limits = *settings;
  const uint64_t idle_ns = first_ ? limits.header_timeout_ns : kKeepAliveIdleNs;
  first_ = false;
  if (worker_->closing) co_return false;
  waiting_ = client_.buffer().size() == 0;
  ReadResult result = co_await read_head(client_, *watchdog_, limits, idle_ns, request, refusal);
  waiting_ = false;
  if (result == ReadResult::kGone) co_return false;
  exchange_ = std::make_shared<Exchange>(worker_, client_, *watchdog_, std::move(request));
  bool keep = false;
  if (result == ReadResult::kRefused) {
    co_await exchange_->refuse(refusal);
  } else {
    result = co_await exchange_->receive();
  }
  if (result == ReadResult::kOk) {
    keep = co_await exchange_->run(shared_from_this());
  } else if (result == ReadResult::kRefused) {
    co_await linger();
  }
  exchange_.reset();
  co_return keep;
}

// Closing with unread bytes would take the answer back from the client: lets it finish first,
// within limits.
Task<void> Session::linger() {
  ErrorCode ec;
  client_.socket().shutdown(Socket::shutdown_send, ec);
  watchdog_->arm(kLingerNs, client_.socket());
  for (size_t read = 0; !ec && read < kLingerBytesMax;) {
    client_.buffer().consume(client_.buffer().size());
    ec = co_await client_.fill(kReadStep);
    read += client_.buffer().size();
  }
}

}  // namespace sluice
