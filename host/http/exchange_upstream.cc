// An exchange's way to an upstream and back.

#include "host/http/exchange.h"

namespace sluice {

Task<Exchange::Attempt> Exchange::forward(uint32_t slot) {
  Flight flight;
  flight.slot = slot;
  flight.address = worker_->services.backends.at(slot);
  if (!flight.address) co_return Attempt::kBroken;
  context_.endpoint = flight.address->name;
  const Attempt attempt = co_await fly(flight);
  upstream_ = nullptr;
  co_return attempt;
}

Task<Exchange::Attempt> Exchange::fly(Flight& flight) {
  Backends& backends = worker_->services.backends;
  bool unreachable = false;
  const HeadResult head = co_await ask(flight, unreachable);
  if (interrupted()) co_return Attempt::kClientLost;
  const bool was_closed = head == HeadResult::kNothing && flight.kept;
  if (head != HeadResult::kOk && !was_closed) backends.failed(flight.slot);
  switch (head) {
    case HeadResult::kNothing:
      co_return unreachable ? Attempt::kUnreachable : Attempt::kBroken;
    case HeadResult::kBroken:
      co_return Attempt::kGarbled;
    case HeadResult::kTimedOut:
      co_return Attempt::kTimedOut;
    case HeadResult::kOk:
      break;
  }
  const unsigned status = flight.parser->get().result_int();
  if (context_.record.parked && (status == 429 || status == 503)) {
    backends.succeeded(flight.slot);
    co_return Attempt::kRejected;
  }
  const Attempt attempt = co_await relay(flight);
  if (attempt == Attempt::kCut && !interrupted()) backends.failed(flight.slot);
  co_return attempt;
}

// Sends the request and reads the head of the answer. Over a kept connection that turns out to be
// closed it is sent again over a new one, free of charge, but only where no server can have worked
// on it: before all of it was sent, or if it asks for nothing but an answer (RFC 9110 section
// 9.2.2). A POST that was sent whole costs a retry, but an endpoint that closes an idle connection
// has not failed.
Task<HeadResult> Exchange::ask(Flight& flight, bool& unreachable) {
  flight.connection = worker_->upstreams.take(*flight.address);
  const uint64_t idle_ns = settings_->upstream.idle_timeout_ns;
  const size_t line = head_.find("\r\n") + 2;
  const std::string host = "Host: " + flight.address->authority + "\r\n";
  std::vector<std::string_view> body;
  context_.edits().pieces(request_.body, body);
  std::vector<asio::const_buffer> pieces = {asio::buffer(head_.data(), line), asio::buffer(host),
                                            asio::buffer(head_) + line};
  for (const std::string_view piece : body)
    pieces.push_back(asio::buffer(piece.data(), piece.size()));
  for (;;) {
    flight.kept = flight.connection != nullptr;
    if (!flight.kept) flight.connection = worker_->upstreams.make();
    Socket& socket = flight.connection->socket;
    upstream_ = &socket;
    if (!flight.kept && co_await connect(*flight.connection, *flight.address, watchdog_,
                                         settings_->upstream.connect_timeout_ns)) {
      unreachable = watchdog_.expired();
      co_return HeadResult::kNothing;
    }
    watchdog_.arm(idle_ns, socket);
    flight.sent_whole = co_await write_request(socket, pieces);
    const bool expired = watchdog_.expired();
    watchdog_.disarm();
    if (expired) co_return HeadResult::kTimedOut;
    if (interrupted()) co_return HeadResult::kNothing;
    // A server that refuses a body without reading it all has answered nevertheless.
    const HeadResult head = co_await read_answer_head(
        *flight.connection, flight.parser, request_.method == "HEAD", watchdog_, idle_ns);
    const bool free = flight.kept && (!flight.sent_whole || request_.method != "POST");
    if (head != HeadResult::kNothing || !free || interrupted()) co_return head;
    flight.connection.reset();
  }
}

Task<Exchange::Attempt> Exchange::relay(Flight& flight) {
  const auto& message = flight.parser->get();
  const beast::string_view type_field = message[http::field::content_type];
  const std::string_view type(type_field.data(), type_field.size());
  const UsageReader::Options options = context_.usage_options(type);
  UsageReader usage(options);
  context_.record.status = static_cast<uint16_t>(message.result_int());
  Relay relay(
      {.client = client_,
       .connection = *flight.connection,
       .parser = *flight.parser,
       .watchdog = watchdog_,
       .usage = usage,
       .marks = marks(true),
       .client_is_1_1 = request_.is_1_1,
       .keep_alive = framing().keep_alive,
       .to_head = request_.method == "HEAD",
       .is_stream = options.sse,
       .idle_timeout_ns = settings_->upstream.idle_timeout_ns,
       .progress = [this, &usage] { context_.progress(usage); },
       // The room is free as soon as the server is done, however slowly the client reads the rest.
       .upstream_done =
           [this, &flight, &usage](bool keeps) {
             upstream_ = nullptr;
             context_.note_usage(usage);
             worker_->services.backends.succeeded(flight.slot);
             // Some servers answer HEAD with a body all the same.
             if (keeps && flight.sent_whole && request_.method != "HEAD")
               worker_->upstreams.give(*flight.address, std::move(flight.connection));
             context_.complete(Outcome::kCompleted);
           },
       .sent = sent_});
  const RelayResult result = co_await relay.run();
  context_.note_usage(usage);
  context_.record.bytes_out = relay.bytes_out();
  if (relay.first_byte_ns() != 0) context_.record.first_byte_ns = relay.first_byte_ns() - read_ns_;
  request_.keep_alive = relay.keeps_client();
  switch (result) {
    case RelayResult::kDone:
      co_return Attempt::kDone;
    case RelayResult::kClientLost:
      co_return Attempt::kClientLost;
    case RelayResult::kUpstreamBroken:
    case RelayResult::kTimedOut:
      break;
  }
  co_return Attempt::kCut;
}

}  // namespace sluice
