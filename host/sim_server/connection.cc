#include "host/sim_server/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "host/sim_server/core.h"
#include "host/sim_server/settings.h"

namespace sluice::sim_server {
namespace {

constexpr uint32_t kHeaderMax = 64 << 10;
constexpr uint64_t kBodyMax = 64 << 20;
constexpr size_t kUnsentMax = 16 << 20;  // for a client that asks for much and reads nothing

constexpr const char* kFairnessId = "x-llm-d-inference-fairness-id";

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::optional<Api> api_at(std::string_view path) {
  if (path == "/v1/chat/completions") return Api::kChat;
  if (path == "/v1/completions") return Api::kCompletions;
  if (path == "/v1/embeddings") return Api::kEmbeddings;
  if (path == "/v1/responses") return Api::kResponses;
  return std::nullopt;
}

std::string models_body(const std::vector<std::string>& models) {
  std::string data;
  for (const std::string& model : models) {
    if (!data.empty()) data += ',';
    data += fmt::format(R"({{"id":{},"object":"model","created":0,"owned_by":"sluice"}})",
                        json_string(model));
  }
  return fmt::format(R"({{"object":"list","data":[{}]}})", data);
}

uint64_t unix_seconds() {
  using std::chrono::seconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      std::chrono::duration_cast<seconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace

Connection::Connection(std::shared_ptr<Core> core, tcp::socket socket)
    : core_(std::move(core)), socket_(std::move(socket)), quiet_(socket_.get_executor()) {
  core_->add(*this);
  ErrorCode ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
}

Connection::~Connection() {
  if (id_ != 0) core_->cancel(id_);
  core_->remove(*this);
}

void Connection::start() {
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
}

void Connection::reset() {
  ErrorCode ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

asio::awaitable<void> Connection::run() {
  while (socket_.is_open()) {
    Request request;
    if (!co_await read(request)) break;
    co_await quiet();
    if (!socket_.is_open()) break;
    co_await handle(std::move(request));
  }
}

asio::awaitable<bool> Connection::read(Request& request) {
  ErrorCode error;
  http::request_parser<http::string_body> parser;
  parser.header_limit(kHeaderMax);
  parser.body_limit(kBodyMax);
  co_await http::async_read_header(socket_, buffer_, parser,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (!error && !parser.is_done()) {
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      co_await quiet();
      send(kContinue);
    }
    co_await http::async_read(socket_, buffer_, parser,
                              asio::redirect_error(asio::use_awaitable, error));
  }
  if (!error) {
    request = parser.release();
    co_return true;
  }
  const bool malformed = error.category() == make_error_code(http::error::bad_field).category() &&
                         error != http::error::end_of_stream &&
                         error != http::error::partial_message;
  if (!malformed) {
    drop();  // the client has left
    co_return false;
  }
  co_await quiet();
  busy_ = true;
  keep_alive_ = false;
  const bool large = error == http::error::body_limit || error == http::error::header_limit;
  answer_error(large ? 413 : 400, fmt::format("Cannot read the request: {}.", error.message()));
  co_await quiet();
  co_return false;
}

asio::awaitable<void> Connection::quiet() {
  while ((busy_ || !writing_.empty()) && socket_.is_open()) {
    ErrorCode ignored;
    quiet_.expires_at(asio::steady_timer::time_point::max());
    co_await quiet_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> Connection::handle(Request request) {
  busy_ = true;
  keep_alive_ = request.keep_alive();
  chunked_ = request.version() >= 11;
  if (!chunked_) keep_alive_ = false;  // the end of a stream is the end of the connection then
  const std::string_view target(request.target().data(), request.target().size());
  const std::string_view path = target.substr(0, target.find('?'));
  const bool get = request.method() == http::verb::get;
  const bool post = request.method() == http::verb::post;
  const auto api = api_at(path);
  if (api && post) {
    handle_model(*api, request);
  } else if (path == "/admin/config" && (get || post)) {
    handle_admin(request);
  } else if (path == "/metrics" && get) {
    co_await handle_metrics();
  } else if (path == "/v1/models" && get) {
    answer(200, kJson, models_body(core_->options().models));
  } else if (path == "/health" && get) {
    answer(200, kJson, "");
  } else {
    const bool known = api || path == "/admin/config" || path == "/metrics" ||
                       path == "/v1/models" || path == "/health";
    answer_error(known ? 405 : 404, known ? "Method not allowed." : "Not found.");
  }
}

void Connection::handle_model(Api api, const Request& message) {
  SimStats& counters = core_->counters();
  const SimSettings& settings = core_->settings();
  ++counters.requests;
  reset_after_ = 0;
  if (core_->failure_strikes()) {
    ++counters.failed;
    const Failure failure = settings.failure;
    if (failure == Failure::kHang) return;  // stays busy until the client leaves
    if (failure == Failure::kError) {
      return answer_error(settings.failure_status, "Injected failure.");
    }
    if (failure == Failure::kRefuse || settings.failure_after_tokens == 0) return reset();
    reset_after_ = settings.failure_after_tokens;
  }
  auto read = read_request(api, message.body(), core_->options().models);
  if (const auto* bad = std::get_if<BadRequest>(&read)) {
    return answer_error(bad->status, bad->message, bad->param);
  }
  const ModelRequest& request = std::get<ModelRequest>(read);
  const uint64_t id = core_->next_id();
  answer_ = Answer(request, id, unix_seconds());
  stream_ = request.stream;
  const auto tenant = message[kFairnessId];
  tenant_.assign(tenant.data(), tenant.size());
  if (reset_after_ != 0) reset_after_ = std::min(reset_after_, std::max(1u, request.output_tokens));
  switch (core_->submit(id, request, *this)) {
    case Batching::Admission::kAccepted:
      id_ = id;
      return;
    case Batching::Admission::kQueueFull:
      ++counters.refused;
      return answer_error(429, "The waiting queue is full.");
    case Batching::Admission::kTooLarge:
      return answer_error(400, fmt::format("Prompt and output need more than the {} tokens of the "
                                           "KV cache.",
                                           settings.kv_tokens));
  }
}

void Connection::handle_admin(const Request& request) {
  if (request.method() == http::verb::post) {
    auto settings = apply_settings(core_->settings(), request.body());
    if (!settings) return answer_error(400, settings.error());
    core_->configure(*settings, this);
  }
  answer(200, kJson, settings_json(core_->settings()));
}

asio::awaitable<void> Connection::handle_metrics() {
  if (!core_->settings().metrics) co_return answer_error(404, "Metrics are off.");
  if (const uint64_t delay = core_->settings().metrics_delay_ns; delay != 0) {
    ErrorCode ignored;
    quiet_.expires_after(std::chrono::nanoseconds(delay));
    co_await quiet_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  answer(
      200, "text/plain; version=0.0.4; charset=utf-8",
      render_metrics(core_->stats(), core_->options().models.front(), core_->settings().kv_tokens));
}

void Connection::on_token(const Batching::Token& token) {
  SimStats& counters = core_->counters();
  core_->count_tokens(tenant_, {.prompt = token.index == 1 ? answer_.prompt_tokens() : 0,
                                .output = answer_.output_tokens() != 0 ? 1u : 0u});
  const bool resets = reset_after_ != 0 && token.index >= reset_after_;
  const bool ends = token.last && !resets;
  if (token.last) id_ = 0;
  if (ends) ++counters.completed;
  if (stream_) {
    std::string events;
    answer_.append_event(token.index, ends, events);
    std::string out;
    if (token.index == 1) out = stream_head();
    append_chunk(events, out);
    if (ends && chunked_) out += "0\r\n\r\n";
    send(out);
  } else if (ends) {
    return answer(200, kJson, answer_.whole());
  }
  if (resets) {
    if (id_ != 0) core_->cancel(std::exchange(id_, 0));
    reset_when_written_ = true;
  }
  if (resets || ends) {
    busy_ = false;
    settle();
  }
}

void Connection::answer(unsigned status, std::string_view type, std::string_view body) {
  send(fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n{}", status,
                   std::string_view(http::obsolete_reason(http::int_to_status(status)).data(),
                                    http::obsolete_reason(http::int_to_status(status)).size()),
                   type, body.size(), keep_alive_ ? "" : "Connection: close\r\n",
                   core_->name_header(), body));
  busy_ = false;
  settle();
}

void Connection::answer_error(unsigned status, std::string_view message, std::string_view param) {
  answer(status, kJson, error_body(status, message, param));
}

std::string Connection::stream_head() const {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
      "Cache-Control: no-cache\r\n{}{}{}\r\n",
      chunked_ ? "Transfer-Encoding: chunked\r\n" : "", keep_alive_ ? "" : "Connection: close\r\n",
      core_->name_header());
}

void Connection::append_chunk(std::string_view data, std::string& out) const {
  if (chunked_) fmt::format_to(std::back_inserter(out), "{:x}\r\n", data.size());
  out += data;
  if (chunked_) out += "\r\n";
}

void Connection::send(std::string_view data) {
  if (!socket_.is_open()) return;
  if (pending_.size() + writing_.size() + data.size() > kUnsentMax) return reset();
  pending_ += data;
  if (writing_.empty()) write();
}

// Most writes fit into the socket's buffer; they are done here, without a turn of the event loop.
void Connection::write() {
  writing_.swap(pending_);
  ErrorCode now;
  const size_t sent = socket_.write_some(asio::buffer(writing_), now);
  if (now && now != asio::error::would_block) return drop();
  if (sent == writing_.size()) {
    writing_.clear();
    return;
  }
  asio::async_write(socket_, asio::buffer(writing_) + sent,
                    [self = shared_from_this()](ErrorCode error, size_t) {
                      self->writing_.clear();
                      if (error) return self->drop();
                      if (!self->pending_.empty()) self->write();
                      self->settle();
                    });
}

void Connection::settle() {
  if (busy_ || !writing_.empty()) return;
  if (reset_when_written_) return reset();
  if (!keep_alive_) return drop();
  quiet_.cancel();
}

void Connection::drop() {
  ErrorCode ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  close();
}

void Connection::close() {
  if (id_ != 0) core_->cancel(std::exchange(id_, 0));
  ErrorCode ignored;
  socket_.close(ignored);
  quiet_.cancel();
}

}  // namespace sluice::sim_server
