#include "host/admin/admin_server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "host/admin/exposition.h"
#include "host/admin/host_check.h"
#include "host/admin/status_json.h"
#include "host/net/listen.h"
#include "host/scheduler/scheduler.h"

// g++ 12 inlines Asio's operator new for coroutine frames down to ::operator new, and then misses
// it in its delete.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace sluice {
namespace {

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
using nlohmann::json;

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";
constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";
constexpr const char* kPages =
    "GET /metrics, /livez, /readyz, /status; POST /reload, "
    "/policies/release?policy=NAME\n";

Response answer(const Request& request, http::status status, std::string body,
                const char* type = kText) {
  Response out(status, request.version());
  out.set(http::field::content_type, type);
  out.set(http::field::cache_control, "no-store");
  out.set("X-Content-Type-Options", "nosniff");
  out.keep_alive(request.keep_alive());
  out.body() = std::move(body);
  return out;
}

Response wrong_method(const Request& request, const char* allowed) {
  Response out = answer(request, http::status::method_not_allowed,
                        fmt::format("only {} is allowed here\n", allowed));
  out.set(http::field::allow, allowed);
  return out;
}

std::string_view text_of(beast::string_view text) { return {text.data(), text.size()}; }

auto into(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

// What connections share; outlives the server until the last of them has gone.
struct AdminServer::Shared : std::enable_shared_from_this<Shared> {
  Shared(asio::io_context& io, config::SocketAddress where, AdminSources from)
      : control(io), address(std::move(where)), sources(std::move(from)), acceptor(io) {}

  asio::awaitable<void> accept();
  asio::awaitable<void> serve(std::shared_ptr<beast::tcp_stream> stream);
  asio::awaitable<Response> respond(const Request& request);
  asio::awaitable<Response> reload(const Request& request);
  Response release(const Request& request, std::string_view query);
  std::optional<Response> refuse_strangers(const Request& request) const;
  AdminSnapshot snapshot();
  std::string metrics_page();

  asio::io_context& control;
  config::SocketAddress address;
  AdminSources sources;
  tcp::acceptor acceptor;
  bool loopback = true, stopped = false;
  TimeNs started_at = 0;
  std::set<std::shared_ptr<beast::tcp_stream>> streams;
};

AdminServer::AdminServer(asio::io_context& control, config::SocketAddress address,
                         AdminSources sources)
    : shared_(std::make_shared<Shared>(control, std::move(address), std::move(sources))) {}

AdminServer::~AdminServer() { stop(); }

Result<void> AdminServer::start() {
  Shared& shared = *shared_;
  if (const ErrorCode error = listen(shared.acceptor, shared.address.host, shared.address.port))
    return Error{fmt::format("cannot listen on {} for [admin]: {}; choose another address",
                             shared.address.text, error.message())};
  shared.loopback = shared.acceptor.local_endpoint().address().is_loopback();
  shared.started_at = Scheduler::now();
  asio::co_spawn(
      shared.control, [self = shared_] { return self->accept(); }, asio::detached);
  return {};
}

void AdminServer::stop() {
  shared_->stopped = true;
  ErrorCode ignored;
  shared_->acceptor.close(ignored);
  for (const auto& stream : shared_->streams) stream->socket().close(ignored);
  shared_->sources = {};
}

uint16_t AdminServer::port() const {
  ErrorCode ignored;
  return shared_->acceptor.local_endpoint(ignored).port();
}

asio::awaitable<void> AdminServer::Shared::accept() {
  asio::steady_timer pause(control);
  while (!stopped) {
    ErrorCode error;
    auto stream = std::make_shared<beast::tcp_stream>(control);
    co_await acceptor.async_accept(stream->socket(), into(error));
    if (stopped) break;
    if (error) {  // out of file descriptors, likely: wait for some to come back
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(into(error));
      continue;
    }
    if (streams.size() >= kConnectionsMax) continue;  // closes it
    streams.insert(stream);
    asio::co_spawn(
        control, [self = shared_from_this(), stream] { return self->serve(stream); },
        [self = shared_from_this(), stream](std::exception_ptr) { self->streams.erase(stream); });
  }
}

asio::awaitable<void> AdminServer::Shared::serve(std::shared_ptr<beast::tcp_stream> stream) {
  beast::flat_buffer buffer;
  ErrorCode error;
  while (!stopped) {
    // Idle until the first byte of a request; from then on it must come at once.
    if (buffer.size() == 0) {
      stream->expires_after(kIdleTimeout);
      const size_t size = co_await stream->async_read_some(buffer.prepare(4096), into(error));
      if (error) co_return;
      buffer.commit(size);
    }
    http::request_parser<http::string_body> parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(kBodyBytesMax);
    stream->expires_after(kExchangeTimeout);
    co_await http::async_read(*stream, buffer, parser, into(error));
    if (stopped) co_return;
    Response response;
    const bool unfinished =
        error == http::error::end_of_stream || error == http::error::partial_message;
    if (error && !unfinished &&
        error.category() == make_error_code(http::error::bad_method).category()) {
      response = answer(parser.get(), http::status::bad_request, error.message() + "\n");
      response.keep_alive(false);
    } else if (error) {
      co_return;
    } else {
      response = co_await respond(parser.get());
    }
    if (parser.get().method() == http::verb::head) {
      const size_t size = response.body().size();
      response.body().clear();
      response.content_length(size);
    } else {
      response.prepare_payload();
    }
    const bool close = response.need_eof() || !response.keep_alive();
    stream->expires_after(kExchangeTimeout);
    http::response_serializer<http::string_body> serializer(response);
    co_await http::async_write(*stream, serializer, into(error));
    if (error) co_return;
    if (close) {
      ErrorCode ignored;
      stream->socket().shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
  }
}

std::optional<Response> AdminServer::Shared::refuse_strangers(const Request& request) const {
  const auto host = text_of(request[http::field::host]);
  const auto origin = text_of(request[http::field::origin]);
  if (host.empty() && request.version() >= 11) {
    return answer(request, http::status::bad_request, "no Host header\n");
  }
  if (loopback && !host.empty() && !names_this_machine(host)) {
    return answer(
        request, http::status::forbidden,
        "this listens on loopback and answers to localhost and loopback addresses only\n");
  }
  if (!origin.empty() && !is_own_origin(origin, host)) {
    return answer(request, http::status::forbidden, "not from another web page\n");
  }
  return std::nullopt;
}

asio::awaitable<Response> AdminServer::Shared::respond(const Request& request) {
  if (auto refusal = refuse_strangers(request)) co_return std::move(*refusal);
  const std::string_view target = text_of(request.target());
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/reload") {
    if (request.method() != http::verb::post) co_return wrong_method(request, "POST");
    co_return co_await reload(request);
  }
  if (path == "/policies/release") {
    if (request.method() != http::verb::post) co_return wrong_method(request, "POST");
    co_return release(request, target.substr(path.size()));
  }
  if (path != "/metrics" && path != "/livez" && path != "/readyz" && path != "/status") {
    co_return answer(request, path == "/" ? http::status::ok : http::status::not_found, kPages);
  }
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    co_return wrong_method(request, "GET, HEAD");
  }
  if (path == "/metrics") co_return answer(request, http::status::ok, metrics_page(), kExposition);
  if (path == "/livez") co_return answer(request, http::status::ok, "ok\n");
  if (path == "/status")
    co_return answer(request, http::status::ok, status_json(snapshot()), kJson);
  const std::string why = sources.not_ready();
  if (why.empty()) co_return answer(request, http::status::ok, "ready\n");
  co_return answer(request, http::status::service_unavailable, why + "\n");
}

asio::awaitable<Response> AdminServer::Shared::reload(const Request& request) {
  struct Pending {
    asio::steady_timer done;
    std::optional<ReloadResult> result;
  };
  const auto pending = std::make_shared<Pending>(
      Pending{asio::steady_timer(control, asio::steady_timer::time_point::max()), {}});
  sources.reload([pending](const ReloadResult& result) {
    pending->result = result;
    pending->done.cancel();
  });
  ErrorCode cancelled;
  while (!pending->result) co_await pending->done.async_wait(into(cancelled));
  const auto& [swapped, messages] = *pending->result;
  json body{{"reloaded", swapped}};
  if (!messages.empty()) body[swapped ? "warnings" : "error"] = messages;
  co_return answer(request, swapped ? http::status::ok : http::status::conflict,
                   body.dump(2, ' ', false, json::error_handler_t::replace) + "\n", kJson);
}

Response AdminServer::Shared::release(const Request& request, std::string_view query) {
  constexpr std::string_view kParameter = "?policy=";
  if (!query.starts_with(kParameter))
    return answer(request, http::status::bad_request, "say which: ?policy=PACKAGE/NAME\n");
  const std::string policy(query.substr(kParameter.size()));
  const bool released = sources.release_policy(policy);
  json body{{"released", released}};
  if (!released) body["error"] = "no policy " + policy + " is in quarantine";
  return answer(request, released ? http::status::ok : http::status::not_found,
                body.dump(2, ' ', false, json::error_handler_t::replace) + "\n", kJson);
}

AdminSnapshot AdminServer::Shared::snapshot() {
  AdminSnapshot out;
  out.version = sources.version;
  out.not_ready = sources.not_ready();
  out.reloads = sources.reload_stats();
  if (sources.transports) out.transports = sources.transports();
  out.engine = sources.stats();
  out.flows = sources.flow_stats();
  out.pool = sources.pool();
  out.now = Scheduler::now();
  out.uptime_ns = out.now - started_at;
  return out;
}

std::string AdminServer::Shared::metrics_page() {
  metrics::Families families;
  write_metrics(snapshot(), families);
  if (sources.requests) sources.requests->write(families);
  return families.text();
}

}  // namespace sluice
