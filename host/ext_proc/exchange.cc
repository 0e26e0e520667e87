#include "host/ext_proc/exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {

using ProcessingMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;

Exchange::Exchange(Surroundings& surroundings, Peer peer, MakeWaiter make_waiter)
    : here_(surroundings),
      settings_(here_.settings),
      peer_(std::move(peer)),
      make_waiter_(std::move(make_waiter)),
      began_ns_(Scheduler::now()),
      context_(here_.services, settings_),
      share_(here_.body_bytes, settings_->body_bytes_max),
      request_mode_(ProcessingMode::FULL_DUPLEX_STREAMED),
      answer_mode_(ProcessingMode::FULL_DUPLEX_STREAMED) {}

uint64_t Exchange::patience_ns() const {
  if (over_ || observes_) return 0;
  if (request_ == Request::kWaiting) return 0;  // it is for the scheduler to speak
  if (answer_ == Answer::kUnseen || (answer_ == Answer::kBody && answer_comes_in_one())) return 0;
  const bool uploads = answer_ == Answer::kNone && !(picked() && request_ended_);
  return uploads ? settings_->body_timeout_ns : settings_->upstream.idle_timeout_ns;
}

bool Exchange::wants_more() const {
  return outbox.bytes() <= kOutboxBytesMax && owed_chunks_ < kOwedChunksMax;
}

// ---- what comes ----

void Exchange::receive(grpc::ByteBuffer& bytes) {
  if (over_) return;
  Incoming message;
  if (!message.decode(bytes))
    return end({grpc::StatusCode::INVALID_ARGUMENT,
                "a message is no envoy.service.ext_proc.v3.ProcessingRequest"});
  if (std::exchange(first_, false) && !note_protocol(*message.rest)) return;
  if (!observes_) dispatch_message(message);
}

void Exchange::dispatch_message(Incoming& message) {
  switch (message.kind) {
    case pb::ProcessingRequest::kRequestHeaders:
      return on_request_headers(message);
    case pb::ProcessingRequest::kRequestBody:
      return on_request_body(message);
    case pb::ProcessingRequest::kRequestTrailers:
      return on_request_trailers(message);
    case pb::ProcessingRequest::kResponseHeaders:
      return on_response_headers(message);
    case pb::ProcessingRequest::kResponseBody:
      return on_response_body(message);
    case pb::ProcessingRequest::kResponseTrailers:
      return on_response_trailers(message);
    case pb::ProcessingRequest::REQUEST_NOT_SET:
      return odd(message.kind, "at any time");
  }
}

// False if the stream has a mode that nothing is known of; then it has been ended.
bool Exchange::note_protocol(const pb::ProcessingRequest& message) {
  observes_ = message.observability_mode();
  if (!message.has_protocol_config()) return true;
  const pb::ProtocolConfiguration& protocol = message.protocol_config();
  request_mode_ = protocol.request_body_mode();
  answer_mode_ = protocol.response_body_mode();
  sends_unasked_ = protocol.send_body_without_waiting_for_header_response();
  if (answer_mode_ == ProcessingMode::NONE || answer_comes_in_one()) context_.answer_is_seen_late();
  for (const BodyMode mode : {request_mode_, answer_mode_}) {
    if (mode >= ProcessingMode::NONE && mode <= ProcessingMode::FULL_DUPLEX_STREAMED) continue;
    end({grpc::StatusCode::INVALID_ARGUMENT,
         fmt::format("body mode {} is not served; FULL_DUPLEX_STREAMED is the one to use",
                     static_cast<int>(mode))});
    return false;
  }
  return true;
}

void Exchange::decide(const Decision& decision) {
  // One about a request that has ended meanwhile is about nothing.
  if (over_ || !context_.open()) return;
  switch (decision.kind) {
    case Decision::Kind::kDispatch:
      return take_off(decision);
    case Decision::Kind::kEnd:
      return refuse(context_.ended(decision));
    case Decision::Kind::kRevoke:
      return revoke(decision);
  }
}

void Exchange::closed() {
  if (over_) return;
  if (answer_ == Answer::kUnseen) {
    answer_ended();
  } else if (context_.open()) {
    context_.record.outcome = context_.withdraw(Outcome::kClientGone, Outcome::kCancelled);
  } else if (picked() && answer_ != Answer::kEnded) {
    context_.record.outcome = Outcome::kClientGone;
  } else if (request_ == Request::kReading) {
    recorded_ = true;  // it left before there was anything to tell of
  }
  end(grpc::Status::OK);
}

void Exchange::silent() {
  if (over_) return;
  if (request_ == Request::kNone && answer_ == Answer::kNone)
    return end({grpc::StatusCode::DEADLINE_EXCEEDED, "nothing was sent in time"});
  const bool answered = answer_ != Answer::kNone;
  if (!answered && !(picked() && request_ended_)) {
    // Of one that flies: its client has stopped to send. The endpoint is not to blame.
    const ErrorAnswer error =
        context_.refuse({408, "bad-request", "timeout", "the request's body did not come in time"});
    if (context_.open()) {
      context_.record.outcome = Outcome::kClientGone;
      context_.complete(Outcome::kClientGone);
    }
    return refuse(error);
  }
  if (answer_ == Answer::kEnded) return end(grpc::Status::OK);
  context_.record.outcome = Outcome::kUpstreamError;
  // Behind the answer's first byte it may as well be the client that does not read.
  if (!answered && context_.open()) here_.services.backends.failed(slot_);
  context_.complete(Outcome::kUpstreamError);
  if (answered)
    return end({grpc::StatusCode::DEADLINE_EXCEEDED, "the answer did not go on in time"});
  refuse(describe(Outcome::kUpstreamError, Reason::kNone, 0, true, settings_->error_format));
}

// ---- what goes ----

void Exchange::send_chunks(bool of_request, Pieces body, bool end_of_stream) {
  const size_t passes = of_request ? kChunkMax : kChunkPassedMax;
  while (body.bytes > passes)
    outbox.push(encode_chunk(of_request, body.take(std::min(kChunkMax, body.bytes)), false));
  outbox.push(encode_chunk(of_request, std::move(body), end_of_stream));
}

void Exchange::send_trailers(bool of_request, const std::vector<std::string>& drops) {
  pb::ProcessingResponse response;
  pb::TrailersResponse& trailers =
      of_request ? *response.mutable_request_trailers() : *response.mutable_response_trailers();
  for (const std::string& name : drops)
    trailers.mutable_header_mutation()->add_remove_headers(name);
  send(response);
}

// What Sluice says of itself with every answer.
void Exchange::mark(pb::HeaderMutation& mutation) const {
  const RequestRecord& record = context_.record;
  if (!context_.id().empty()) set_header(mutation, "x-request-id", context_.id());
  if (record.parked)
    set_header(mutation, "x-sluice-queue-ms", std::to_string(record.queue_ns / 1'000'000));
  if (settings_->expose_endpoint && !context_.endpoint.empty())
    set_header(mutation, "x-sluice-endpoint", context_.endpoint);
}

void Exchange::refuse(const ErrorAnswer& error) {
  context_.record.refusal = error.reason;
  std::vector<std::pair<std::string, std::string>> headers = {
      {"content-type", std::string(error.content_type)},
      {"x-sluice-reason", std::string(error.reason)}};
  if (!error.dropped_reason.empty())
    headers.emplace_back("x-llm-d-request-dropped-reason", error.dropped_reason);
  if (error.retry_after_s != 0)
    headers.emplace_back("retry-after", std::to_string(error.retry_after_s));
  if (error.status == 405) headers.emplace_back("allow", "POST, GET, HEAD, OPTIONS");
  std::string details = "sluice_" + std::string(error.reason);
  std::ranges::replace(details, '-', '_');
  answer_immediately(error.status, std::move(headers), error.body, details);
}

void Exchange::answer_own(const std::string& json) {
  answer_immediately(200, {{"content-type", "application/json"}}, json, "sluice_models");
}

void Exchange::answer_immediately(uint16_t status,
                                  std::vector<std::pair<std::string, std::string>> headers,
                                  std::string body, const std::string& details) {
  context_.record.status = status;
  context_.record.bytes_out = body.size();
  pb::ProcessingResponse response;
  pb::ImmediateResponse& immediate = *response.mutable_immediate_response();
  immediate.mutable_status()->set_code(static_cast<envoy::type::v3::StatusCode>(status));
  for (const auto& [name, value] : headers) set_header(*immediate.mutable_headers(), name, value);
  mark(*immediate.mutable_headers());
  immediate.set_body(std::move(body));
  immediate.set_details(details);
  send(response);
  end(grpc::Status::OK);
}

void Exchange::revoke(const Decision& decision) {
  context_.complete(Outcome::kRevoked);
  const ErrorAnswer error = context_.revoked(decision.retry_after_s);
  if (answer_ == Answer::kNone) return refuse(error);
  end({grpc::StatusCode::ABORTED, "taken back from the model server"});
}

void Exchange::odd(Kind kind, const char* when) {
  end({grpc::StatusCode::INVALID_ARGUMENT, fmt::format("{} came {}", name_of(kind), when)});
}

void Exchange::end(grpc::Status status) {
  if (std::exchange(over_, true)) return;
  status_ = std::move(status);
  if (context_.open())
    context_.record.outcome = context_.withdraw(Outcome::kClientGone, Outcome::kCancelled);
  share_.give_back();
  if (std::exchange(recorded_, true) || request_ == Request::kNone) return;
  context_.write_record(method_, target_, began_ns_);
}

// Both directions are through: the gateway need not end the stream itself.
void Exchange::end_if_done() {
  const bool nothing_comes = request_ended_ || request_mode_ == ProcessingMode::NONE;
  const bool request_done = request_ == Request::kNone || (picked() && nothing_comes);
  if (request_done && answer_ == Answer::kEnded) end(grpc::Status::OK);
}

}  // namespace sluice::ext_proc
