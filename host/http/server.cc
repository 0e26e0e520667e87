#include "host/http/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "host/http/limits.h"
#include "host/http/session.h"
#include "host/net/listen.h"

namespace sluice {

// The accepting side, with a loop of its own.
struct HttpServer::Listener {
  asio::io_context context{1};
  Acceptor acceptor{context.get_executor()};
  Timer pause{context.get_executor()};
  asio::executor_work_guard<Executor> work{context.get_executor()};
  // Connections on their way to a worker. Their memory is made on its thread, where what is freed
  // can go back to the system; what Asio keeps of a socket for ever is made here, by itself.
  struct Arrivals {
    std::mutex mutex;
    std::vector<Socket> sockets;

    // True if the worker has not been told of any yet.
    bool add(Socket socket) {
      const std::lock_guard lock(mutex);
      sockets.push_back(std::move(socket));
      return sockets.size() == 1;
    }
  };
  std::vector<Arrivals> arrivals;  // by worker
};

HttpServer::HttpServer(Scheduler& scheduler, Backends& backends,
                       std::shared_ptr<const HttpSettings> settings, RecordSink record,
                       Options options)
    : listener_(std::make_unique<Listener>()) {
  const uint32_t threads = std::max(1u, options.threads);
  listener_->arrivals = std::vector<Listener::Arrivals>(threads);
  for (uint32_t i = 0; i < threads; ++i) {
    workers_.push_back(std::make_shared<Worker>(scheduler, backends, body_bytes_, record, settings,
                                                options.seed + 0x9E3779B97F4A7C15u * (i + 1)));
  }
}

HttpServer::~HttpServer() { stop(); }

Result<uint16_t> HttpServer::listen(const config::SocketAddress& address) {
  Acceptor& acceptor = listener_->acceptor;
  if (const ErrorCode error = sluice::listen(acceptor, address.host, address.port))
    return Error{fmt::format("cannot listen on {}: {}", address.text, error.message())};
  return acceptor.local_endpoint().port();
}

void HttpServer::start() {
  for (const auto& worker : workers_) {
    threads_.emplace_back([worker] { worker->context.run(); });
  }
  asio::post(listener_->context, [this] { accept_next(); });
  threads_.emplace_back([this] { listener_->context.run(); });
}

void HttpServer::accept_next() {
  const uint32_t index = next_worker_++ % static_cast<uint32_t>(workers_.size());
  listener_->acceptor.async_accept(
      workers_[index]->context.get_executor(), [this, index](ErrorCode ec, Socket socket) {
        if (ec == asio::error::operation_aborted || !listener_->acceptor.is_open()) return;
        if (ec) {
          if (ec != asio::error::connection_aborted) {
            spdlog::warn("http: cannot accept a connection: {}; trying again in 100 ms",
                         ec.message());
          }
          // Out of descriptors, most likely: they come back as requests end.
          listener_->pause.expires_after(std::chrono::nanoseconds(kAcceptPauseNs));
          listener_->pause.async_wait([this](ErrorCode aborted) {
            if (!aborted) accept_next();
          });
          return;
        }
        if (connections_ < kConnectionsMax) {
          ++connections_;
          if (listener_->arrivals[index].add(std::move(socket)))
            asio::post(workers_[index]->context, [this, index] { welcome(index); });
        }
        accept_next();
      });
}

// Begins to serve what has arrived for a worker, on its thread.
void HttpServer::welcome(uint32_t index) {
  std::vector<Socket> sockets;
  Listener::Arrivals& arrivals = listener_->arrivals[index];
  {
    const std::lock_guard lock(arrivals.mutex);
    sockets.swap(arrivals.sockets);
  }
  for (Socket& socket : sockets)
    std::make_shared<Session>(workers_[index], std::move(socket), [this] {
      connection_over();
    })->start();
}

void HttpServer::connection_over() {
  const std::lock_guard lock(idle_mutex_);
  if (--connections_ == 0) idle_.notify_all();
}

void HttpServer::reconfigure(std::shared_ptr<const HttpSettings> settings) {
  for (const auto& worker : workers_) {
    asio::post(worker->context, [w = worker.get(), settings] { w->settings = settings; });
  }
}

void HttpServer::retire() {
  asio::post(listener_->context, [this] {
    ErrorCode ignored;
    listener_->acceptor.close(ignored);
    listener_->pause.cancel();
  });
  for (const auto& worker : workers_) {
    asio::post(worker->context, [w = worker.get()] {
      w->closing = true;
      for (Session* session : w->sessions) session->retire();
    });
  }
}

bool HttpServer::wait_idle(std::chrono::nanoseconds patience) {
  std::unique_lock lock(idle_mutex_);
  return idle_.wait_for(lock, patience, [this] { return connections_ == 0; });
}

void HttpServer::stop() {
  if (threads_.empty()) return;
  retire();
  // The listener first, so that nobody is accepted any more.
  asio::post(listener_->context, [this] { listener_->work.reset(); });
  threads_.back().join();
  threads_.pop_back();
  for (const auto& worker : workers_) {
    asio::post(worker->context, [w = worker.get()] {
      for (Session* session : w->sessions) session->abandon();
    });
  }
  {
    std::unique_lock lock(idle_mutex_);
    idle_.wait(lock, [this] { return connections_ == 0; });
  }
  for (const auto& worker : workers_) {
    asio::post(worker->context, [w = worker.get()] {
      w->upstreams.close();
      w->work.reset();
    });
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace sluice
