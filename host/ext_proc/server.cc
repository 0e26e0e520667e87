#include "host/ext_proc/server.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "host/ext_proc/call.h"
#include "host/ext_proc/limits.h"
#include "host/ext_proc/tls.h"
#include "host/net/listen.h"

namespace sluice {
namespace {

using namespace ext_proc;  // NOLINT

// The libraries' own logs: whoever connects can fill them, so they are for those who look for
// something.
void log_of_grpc(gpr_log_func_args* args) {
  spdlog::debug("grpc: {} ({}:{})", args->message, args->file, args->line);
}
void log_of_protobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  spdlog::debug("protobuf: {}", message);
}

// Why nothing can listen at ADDRESS, which gRPC itself would only log; the port that it stands for
// if something can.
Result<uint16_t> try_to_bind(const config::SocketAddress& address) {
  asio::io_context context;
  tcp::acceptor acceptor(context);
  if (const ErrorCode error = sluice::listen(acceptor, address.host, address.port))
    return Error{fmt::format("cannot listen on {}: {}", address.text, error.message())};
  return acceptor.local_endpoint().port();
}

std::string grpc_address(const config::SocketAddress& address, uint16_t port) {
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  const bool v6 = host.find(':') != host.npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

void set_limits(grpc::ServerBuilder& builder, uint64_t max_body) {
  const uint64_t message = std::min<uint64_t>(max_body == 0 ? INT_MAX : max_body, INT_MAX / 2);
  builder.SetMaxReceiveMessageSize(static_cast<int>(message + kMessageExtraMax));
  builder.SetMaxSendMessageSize(-1);  // none is larger than what came
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  // A small message may be a large one once it is unpacked, before anybody looks at its size.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second Sluice is to be told
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // What is parked sends nothing, however long.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kPingIntervalMinMs);
}

}  // namespace

ExtProcServer::ExtProcServer(TransportServices services,
                             std::shared_ptr<const ExtProcSettings> settings, Options options)
    : services_(std::move(services)), options_(options), settings_(std::move(settings)) {}

ExtProcServer::~ExtProcServer() { stop(); }

Result<uint16_t> ExtProcServer::listen(const config::ExtProcListener& listener) {
  gpr_set_log_function(log_of_grpc);
  google::protobuf::SetLogHandler(log_of_protobuf);
  std::shared_ptr<grpc::ServerCredentials> creds = grpc::InsecureServerCredentials();
  if (listener.tls) {
    auto certificates = Certificates::open(*listener.tls);
    if (!certificates) return Error{certificates.error()};
    certificates_ = std::move(*certificates);
    creds = certificates_->credentials();
  }
  Result<uint16_t> free = try_to_bind(listener.address);
  if (!free) return free;
  grpc::ServerBuilder builder;
  set_limits(builder, listener.max_body);
  int port = 0;
  builder.AddListeningPort(grpc_address(listener.address, *free), creds, &port);
  builder.RegisterAsyncGenericService(&service_);
  const uint32_t threads = std::max(1u, options_.threads);
  for (uint32_t i = 0; i < threads; ++i) {
    workers_.push_back(std::make_shared<Worker>(services_, body_bytes_, streams_, calls_, settings_,
                                                options_.seed + 0x9E3779B97F4A7C15u * (i + 1),
                                                builder.AddCompletionQueue(), service_));
    workers_.back()->asks_names = listener.tls && !listener.tls->client_ca.empty();
  }
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0) {
    return Error{fmt::format("cannot listen on {}: gRPC refused it", listener.address.text)};
  }
  return static_cast<uint16_t>(port);
}

void ExtProcServer::start() {
  if (!server_) return;
  for (const auto& worker : workers_) {
    worker->accept();
    threads_.emplace_back([worker] { worker->run(); });
  }
}

void ExtProcServer::reconfigure(std::shared_ptr<const ExtProcSettings> settings) {
  settings_ = settings;
  for (const auto& worker : workers_)
    worker->post([w = worker.get(), settings] { w->surroundings.settings = settings; });
}

void ExtProcServer::set_ready(bool ready) {
  if (std::exchange(ready_, ready) == ready) return;
  for (const auto& worker : workers_) {
    worker->post([w = worker.get(), ready] {
      w->ready = ready;
      for (HealthCall* watcher : w->watchers) watcher->news();
    });
  }
}

void ExtProcServer::look_at_certificates() {
  const auto news = certificates_ ? certificates_->look() : std::nullopt;
  if (!news) return;
  spdlog::log(news->good ? spdlog::level::info : spdlog::level::err, "[listen.ext_proc] {}",
              news->text);
}

void ExtProcServer::stop() {
  if (server_) {
    // Cuts every call; the threads bring each to its end.
    server_->Shutdown(std::chrono::system_clock::now());
    while (const size_t left = calls_) calls_.wait(left);
  }
  for (const auto& worker : workers_) worker->shut_down();
  if (threads_.empty()) {  // never started
    for (const auto& worker : workers_) worker->run();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  workers_.clear();
  server_.reset();
}

}  // namespace sluice
