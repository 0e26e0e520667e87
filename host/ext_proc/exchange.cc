#include "host/ext_proc/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/limits.h"
#include "host/ext_proc/endpoint_text.h"
#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

constexpr std::string_view kDestination = "x-gateway-destination-endpoint";
constexpr const char* kLbNamespace = "envoy.lb";
constexpr const char* kSubsetNamespace = "envoy.lb.subset_hint";
constexpr const char* kSubsetKey = "x-gateway-destination-endpoint-subset";
constexpr const char* kScoresKey = "x-gateway-destination-endpoint-scores";

using ProcessingMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;

void set_header(pb::HeaderMutation& mutation, std::string_view name, std::string_view value) {
  auto& header = *mutation.add_set_headers()->mutable_header();
  header.set_key(name.data(), name.size());
  header.set_raw_value(value.data(), value.size());
}

uint64_t content_length(const std::vector<Header>& headers) {
  const std::string_view text = find_header(headers, "content-length").value_or("");
  uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

// A field of a namespace of the gateway's metadata; null if there is none.
const google::protobuf::Value* metadata_of(const pb::ProcessingRequest& message, const char* space,
                                           const std::string& key) {
  const auto& spaces = message.metadata_context().filter_metadata();
  const auto found = spaces.find(space);
  if (found == spaces.end()) return nullptr;
  const auto value = found->second.fields().find(key);
  return value == found->second.fields().end() ? nullptr : &value->second;
}

}  // namespace

Exchange::Exchange(Surroundings& surroundings, Peer peer, MakeWaiter make_waiter)
    : here_(surroundings),
      peer_(std::move(peer)),
      make_waiter_(std::move(make_waiter)),
      began_ns_(Scheduler::now()),
      context_(here_.services, here_.settings),
      share_(here_.body_bytes, here_.settings->body_bytes_max),
      request_mode_(ProcessingMode::FULL_DUPLEX_STREAMED),
      answer_mode_(ProcessingMode::FULL_DUPLEX_STREAMED) {}

bool Exchange::full_duplex() const {
  return request_mode_ != ProcessingMode::STREAMED && !buffered();
}

bool Exchange::buffered() const {
  return request_mode_ == ProcessingMode::BUFFERED ||
         request_mode_ == ProcessingMode::BUFFERED_PARTIAL;
}

size_t Exchange::outbox_bytes() const {
  size_t bytes = 0;
  for (const grpc::ByteBuffer& message : outbox) bytes += message.Length();
  return bytes;
}

uint64_t Exchange::patience_ns() const {
  if (over_ || observes_) return 0;
  if (context_.open() && !picked_) return 0;  // it is for the scheduler to speak
  if (!picked_ && answer_ == Answer::kNone) return here_.settings->body_timeout_ns;
  return here_.settings->upstream.idle_timeout_ns;
}

// ---- what comes ----

void Exchange::receive(const grpc::ByteBuffer& bytes) {
  if (over_) return;
  Incoming message;
  if (!message.decode(bytes))
    return end({grpc::StatusCode::INVALID_ARGUMENT,
                "a message is no envoy.service.ext_proc.v3.ProcessingRequest"});
  if (std::exchange(first_, false)) note_protocol(*message.rest);
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

void Exchange::note_protocol(const pb::ProcessingRequest& message) {
  observes_ = message.observability_mode();
  if (!message.has_protocol_config()) return;
  request_mode_ = message.protocol_config().request_body_mode();
  answer_mode_ = message.protocol_config().response_body_mode();
  sends_unasked_ = message.protocol_config().send_body_without_waiting_for_header_response();
}

void Exchange::note_subset(const pb::ProcessingRequest& message) {
  const google::protobuf::Value* hint = metadata_of(message, kSubsetNamespace, kSubsetKey);
  if (hint == nullptr) return;
  subset_.emplace();
  if (hint->has_string_value()) subset_->push_back(hint->string_value());
  for (const google::protobuf::Value& one : hint->list_value().values())
    if (one.has_string_value() && subset_->size() < kSubsetMax)
      subset_->push_back(one.string_value());
}

// What the server must not see, by name, each once.
void Exchange::note_drops(const std::vector<Header>& headers,
                          std::vector<std::string>& drops) const {
  const Routing& routing = *here_.settings->routing;
  for (const Header& header : headers) {
    if (header.name.empty() || header.name.front() == ':') continue;
    // Compressed answers could not be read for their usage.
    const bool dropped = !routing.forwards(header.name, peer_) ||
                         equals_ignoring_case(header.name, "accept-encoding");
    if (dropped && std::ranges::count(drops, header.name) == 0) drops.emplace_back(header.name);
  }
}

void Exchange::on_request_headers(Incoming& message) {
  if (request_ != Request::kNone) return odd(message.kind, "a second time");
  if (answer_ != Answer::kNone) return odd(message.kind, "after response_headers");
  const std::vector<Header> headers = message.headers();
  request_ = Request::kBody;
  if (headers.size() > kHeadersMax)
    return refuse(context_.refuse({431, "too-large", "too_large", "there are too many headers"}));
  context_.identify(headers, here_.random);
  method_ = find_header(headers, ":method").value_or("");
  target_ = find_header(headers, ":path").value_or("");
  note_drops(headers, drops_);
  note_subset(*message.rest);
  const bool has_body = !message.end_of_stream && request_mode_ != ProcessingMode::NONE;
  if (const auto error = context_.refuse_head(method_, target_, has_body)) return refuse(*error);
  request_ended_ = message.end_of_stream;  // else trailers may come, whether a body is shown or not
  const uint64_t length = content_length(headers);
  head_ = std::make_unique<Incoming>(std::move(message));
  if (!has_body) {
    read_ns_ = Scheduler::now();
    if (method_ != "POST") return serve_unparked();
    return head_->end_of_stream ? whole()
                                : submit_unseen();  // the gateway keeps the body to itself
  }
  if (length > here_.settings->max_body && here_.settings->max_body != 0)
    return refuse(context_.refuse({413, "too-large", "too_large", "the body is too large"}));
  if (request_mode_ == ProcessingMode::STREAMED && !sends_unasked_) return submit_unseen();
  body_.reserve(std::min<uint64_t>(length + kBodyPadding, kBodyReserveMax));
  if (buffered()) {
    pb::ProcessingResponse response;
    response.mutable_request_headers()->mutable_response();
    send(response);
  }
}

void Exchange::on_request_body(Incoming& message) {
  if (request_ == Request::kNone) return odd(message.kind, "before request_headers");
  if (request_ended_) return odd(message.kind, "after the request's end");
  note_subset(*message.rest);
  body_came_ = true;
  request_ended_ = message.end_of_stream;
  if (request_ == Request::kBody) {
    ++owed_chunks_;
    if (!collect(message)) return;
    if (request_ended_ || buffered()) return whole();
    const bool too_long_to_wait =
        request_mode_ == ProcessingMode::STREAMED && body_.size() > kStreamedPeekMax;
    if (too_long_to_wait) submit_unseen();
    return;
  }
  if (request_ == Request::kWhole) return odd(message.kind, "after the request's end");
  context_.record.bytes_in += message.body.bytes;
  if (picked_) {
    outbox.push_back(encode_body(true, false, {}));
    end_if_done();
  } else {
    ++owed_chunks_;
  }
}

// Adds to the body. False if that was too much; then it was answered.
bool Exchange::collect(Incoming& message) {
  const uint64_t size = body_.size() + message.body.bytes;
  context_.record.bytes_in = size;
  if (size > here_.settings->max_body && here_.settings->max_body != 0) {
    refuse(context_.refuse({413, "too-large", "too_large", "the body is too large"}));
    return false;
  }
  if (!share_.grow_to(size)) {
    refuse(context_.refuse(Outcome::kRejectedFull, Reason::kBytesFull));
    return false;
  }
  message.body.append_to(body_);
  return true;
}

void Exchange::on_request_trailers(Incoming& message) {
  if (request_ == Request::kNone) return odd(message.kind, "before request_headers");
  if (trailers_came_) return odd(message.kind, "a second time");
  if (request_ended_ && !(buffered() && body_came_))
    return odd(message.kind, "after the request's end");
  note_subset(*message.rest);
  trailers_came_ = request_ended_ = true;
  note_drops(message.headers(), trailer_drops_);
  if (request_ == Request::kBody) return whole();
  if (!picked_) return;  // they are answered with the rest
  send_trailers(true, trailer_drops_);
  end_if_done();
}

bool Exchange::find_allowed(std::optional<std::vector<uint32_t>>& only) {
  if (!subset_) return true;
  only = slots_named(here_.services.backends, *subset_);
  if (!only->empty()) return true;
  refuse(context_.refuse(Outcome::kRejectedNoEndpoint));
  return false;
}

// All that is to be read of the request has come.
void Exchange::whole() {
  read_ns_ = Scheduler::now();
  share_.give_back();
  std::optional<std::vector<uint32_t>> only;
  if (!find_allowed(only)) return;
  const std::unique_ptr<Incoming> head = std::move(head_);
  if (const auto error = context_.admit(here_.classifier, api_of(target_), body_, head->headers(),
                                        peer_, std::move(only)))
    return refuse(*error);
  // The gateway has the body itself.
  if (buffered() && context_.edits().empty()) body_ = {};
  request_ = Request::kWhole;
  context_.submit(make_waiter_(context_.routed().target));
}

// The gateway waits for a word on the headers before it sends the body, or more of it.
void Exchange::submit_unseen() {
  read_ns_ = Scheduler::now();
  share_.give_back();
  std::optional<std::vector<uint32_t>> only;
  if (!find_allowed(only)) return;
  const std::unique_ptr<Incoming> head = std::move(head_);
  const std::vector<Header> headers = head->headers();
  context_.admit_unseen(headers, peer_, content_length(headers), std::move(only));
  body_ = {};
  request_ = Request::kUnseen;
  context_.submit(make_waiter_({}));
}

// Requests without a body cost an engine nothing worth queueing for.
void Exchange::serve_unparked() {
  if (method_ != "OPTIONS") {
    if (const auto own = context_.own_answer(target_))
      return own->error ? refuse(*own->error) : answer_own(own->body);
  }
  std::optional<std::vector<uint32_t>> only;
  if (!find_allowed(only)) return;
  const std::optional<uint32_t> slot = here_.services.backends.any(only ? &*only : nullptr);
  const auto address = slot ? here_.services.backends.at(*slot) : nullptr;
  if (!address) return refuse(context_.refuse_unparked());
  head_.reset();
  ++context_.record.attempts;
  slot_ = *slot;
  context_.endpoint = address->name;
  answer_request({endpoint_text(*address)}, nullptr);
}

void Exchange::decide(const Decision& decision) {
  if (over_) return;
  switch (decision.kind) {
    case Decision::Kind::kDispatch:
      return take_off(decision);
    case Decision::Kind::kEnd:
      return refuse(context_.ended(decision));
    case Decision::Kind::kRevoke:
      return revoke(decision);
  }
}

void Exchange::take_off(const Decision& decision) {
  const Backends& backends = here_.services.backends;
  std::vector<std::string> picks;
  const auto address = backends.at(decision.endpoint);
  if (!address) return context_.requeue(Engine::Requeue::kBroken);
  context_.dispatched(decision);
  slot_ = decision.endpoint;
  context_.endpoint = address->name;
  picks.push_back(endpoint_text(*address));
  for (const Ranked& ranked : decision.ranked) {
    if (picks.size() >= here_.settings->max_endpoints) break;
    if (ranked.endpoint == decision.endpoint) continue;
    if (const auto other = backends.at(ranked.endpoint)) picks.push_back(endpoint_text(*other));
  }
  answer_request(picks, &decision);
}

void Exchange::closed() {
  if (over_) return;
  if (answer_ == Answer::kUnseen) {
    answer_ended();
  } else if (context_.open()) {
    context_.record.outcome = context_.withdraw(Outcome::kClientGone, Outcome::kCancelled);
  } else if (picked_ && answer_ != Answer::kEnded) {
    context_.record.outcome = Outcome::kClientGone;
  } else if (answer_ == Answer::kNone) {
    recorded_ = true;  // it left before there was anything to tell of
  }
  end(grpc::Status::OK);
}

void Exchange::silent() {
  if (over_) return;
  if (request_ == Request::kNone && answer_ == Answer::kNone) {
    recorded_ = true;
    return end({grpc::StatusCode::DEADLINE_EXCEEDED, "nothing was sent in time"});
  }
  if (!picked_ && answer_ == Answer::kNone)
    return refuse(context_.refuse(
        {408, "bad-request", "timeout", "the request's body did not come in time"}));
  if (answer_ == Answer::kEnded) return end(grpc::Status::OK);
  context_.record.outcome = Outcome::kUpstreamError;
  if (context_.open()) {
    here_.services.backends.failed(slot_);
    context_.complete(Outcome::kUpstreamError);
  }
  if (answer_ == Answer::kNone)
    return refuse(
        describe(Outcome::kUpstreamError, Reason::kNone, 0, true, here_.settings->error_format));
  end({grpc::StatusCode::DEADLINE_EXCEEDED, "the answer did not go on in time"});
}

// ---- what is told ----

void Exchange::answer_request(const std::vector<std::string>& picks, const Decision* decision) {
  picked_ = true;
  request_ = Request::kAnswered;
  const std::string list = fmt::format("{}", fmt::join(picks, ","));
  pb::ProcessingResponse response;
  const bool with_body = buffered() && body_came_;
  pb::CommonResponse& common = with_body ? *response.mutable_request_body()->mutable_response()
                                         : *response.mutable_request_headers()->mutable_response();
  fill_pick(response, common, list, decision);
  if (with_body && !context_.edits().empty())
    common.mutable_body_mutation()->set_body(context_.edits().apply(body_));
  send(response);
  if (!with_body) send_body();
  body_ = {};
  if (trailers_came_) send_trailers(true, trailer_drops_);
}

void Exchange::fill_pick(pb::ProcessingResponse& response, pb::CommonResponse& common,
                         const std::string& picks, const Decision* decision) {
  pb::HeaderMutation& mutation = *common.mutable_header_mutation();
  set_header(mutation, kDestination, picks);
  set_header(mutation, "x-request-id", context_.id());
  const bool resized = full_duplex() || !context_.edits().empty();
  if (const size_t size = context_.edits().size(body_);
      body_came_ && size != 0 && resized && !body_.empty())
    set_header(mutation, "content-length", std::to_string(size));
  for (const std::string& name : drops_)
    if (!equals_ignoring_case(name, kDestination)) mutation.add_remove_headers(name);
  common.set_clear_route_cache(true);
  auto& fields = *(*response.mutable_dynamic_metadata()->mutable_fields())[kLbNamespace]
                      .mutable_struct_value();
  (*fields.mutable_fields())[std::string(kDestination)].set_string_value(picks);
  if (!here_.settings->scores || decision == nullptr) return;
  auto& scores = *(*fields.mutable_fields())[kScoresKey].mutable_struct_value()->mutable_fields();
  for (const Ranked& ranked : decision->ranked)
    if (const auto address = here_.services.backends.at(ranked.endpoint))
      scores[endpoint_text(*address)].set_number_value(ranked.score);
}

// What the gateway holds back of the body, or has sent here, goes on.
void Exchange::send_body() {
  if (!body_came_) return;
  if (full_duplex()) {
    return send_chunks(true, Pieces::of(std::move(body_), std::move(context_.edits())),
                       !trailers_came_);
  }
  // One answer for each chunk: all of a body that has changed in the first, nothing in the others.
  const bool changed = !context_.edits().empty();
  for (uint32_t i = 0; i < owed_chunks_; ++i) {
    Pieces body;
    if (changed && i == 0) body = Pieces::of(std::move(body_), std::move(context_.edits()));
    outbox.push_back(encode_body(true, changed, std::move(body)));
  }
  owed_chunks_ = 0;
}

void Exchange::send_chunks(bool of_request, Pieces body, bool end_of_stream) {
  if (body.bytes > kChunkPassedMax || (of_request && body.bytes > kChunkMax)) {
    while (body.bytes > kChunkMax)
      outbox.push_back(encode_chunk(of_request, body.take(kChunkMax), false));
  }
  outbox.push_back(encode_chunk(of_request, std::move(body), end_of_stream));
}

void Exchange::send_trailers(bool of_request, const std::vector<std::string>& drops) {
  pb::ProcessingResponse response;
  pb::TrailersResponse& trailers =
      of_request ? *response.mutable_request_trailers() : *response.mutable_response_trailers();
  for (const std::string& name : drops)
    trailers.mutable_header_mutation()->add_remove_headers(name);
  send(response);
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
  if (!context_.id().empty()) headers.emplace_back("x-request-id", context_.id());
  if (context_.record.parked)
    headers.emplace_back("x-sluice-queue-ms", std::to_string(context_.record.queue_ns / 1'000'000));
  if (here_.settings->expose_endpoint && !context_.endpoint.empty())
    headers.emplace_back("x-sluice-endpoint", context_.endpoint);
  context_.record.bytes_out = body.size();
  pb::ProcessingResponse response;
  pb::ImmediateResponse& immediate = *response.mutable_immediate_response();
  immediate.mutable_status()->set_code(static_cast<envoy::type::v3::StatusCode>(status));
  for (const auto& [name, value] : headers) set_header(*immediate.mutable_headers(), name, value);
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
  const bool request_done = request_ == Request::kNone || (picked_ && nothing_comes);
  if (request_done && answer_ == Answer::kEnded) end(grpc::Status::OK);
}

}  // namespace sluice::ext_proc
