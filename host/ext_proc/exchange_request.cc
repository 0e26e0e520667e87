// An exchange's first half: the request, until the gateway knows where it goes.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "host/ext_proc/endpoint_text.h"
#include "host/ext_proc/exchange.h"
#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

constexpr const char* kSubsetNamespace = "envoy.lb.subset_hint";
constexpr const char* kSubsetKey = "x-gateway-destination-endpoint-subset";
constexpr const char* kScoresKey = "x-gateway-destination-endpoint-scores";

using ProcessingMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;

uint64_t content_length(const std::vector<Header>& headers) {
  const std::string_view text = find_header(headers, "content-length").value_or("");
  uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

}  // namespace

bool Exchange::full_duplex() const { return request_mode_ == ProcessingMode::FULL_DUPLEX_STREAMED; }

bool Exchange::buffered() const {
  return request_mode_ == ProcessingMode::BUFFERED ||
         request_mode_ == ProcessingMode::BUFFERED_PARTIAL;
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
  for (const Header& header : headers) {
    if (header.name.empty() || header.name.front() == ':') continue;
    // Compressed answers could not be read for their usage.
    const bool dropped = !settings_->routing->forwards(header.name, peer_) ||
                         equals_ignoring_case(header.name, "accept-encoding");
    if (dropped && std::ranges::count(drops, header.name) == 0) drops.emplace_back(header.name);
  }
}

// ---- what comes ----

void Exchange::on_request_headers(Incoming& message) {
  if (request_ != Request::kNone) return odd(message.kind, "a second time");
  if (answer_ != Answer::kNone) return odd(message.kind, "after response_headers");
  const std::vector<Header> headers = message.headers();
  request_ = Request::kReading;
  if (headers.size() > kHeadersMax)
    return refuse(context_.refuse({431, "too-large", "too_large", "there are too many headers"}));
  context_.identify(headers, here_.random);
  method_ = find_header(headers, ":method").value_or("");
  target_ = find_header(headers, ":path").value_or("");
  note_drops(headers, drops_);
  note_subset(*message.rest);
  request_ended_ = message.end_of_stream;  // else trailers may come, whether a body is shown or not
  const bool has_body = !request_ended_ && request_mode_ != ProcessingMode::NONE;
  if (const auto error = context_.refuse_head(method_, target_, has_body)) return refuse(*error);
  const uint64_t length = content_length(headers);
  head_ = std::make_unique<Incoming>(std::move(message));
  if (method_ != "POST") return serve_unparked();
  if (request_ended_) return whole();
  if (!has_body) return submit_unseen();  // the gateway keeps it to itself
  if (length > settings_->max_body && settings_->max_body != 0)
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
  const bool shown_whole = request_ == Request::kWaiting && buffered() && body_came_;
  if (request_ended_ || shown_whole) return odd(message.kind, "after the request's end");
  request_ended_ = message.end_of_stream;
  if (request_ == Request::kReading) {
    note_subset(*message.rest);
    body_came_ = true;
    ++owed_chunks_;
    if (!collect(message)) return;
    const bool cut_off = request_mode_ == ProcessingMode::BUFFERED_PARTIAL && !request_ended_;
    if (cut_off) return submit_unseen();
    if (request_ended_ || buffered()) return whole();
    const bool too_long_to_wait =
        request_mode_ == ProcessingMode::STREAMED && body_.size() > kStreamedPeekMax;
    if (too_long_to_wait) submit_unseen();
    return;
  }
  body_came_ = true;
  ++owed_chunks_;
  context_.record.bytes_in += message.body.bytes;
  if (request_ == Request::kWaiting) return;
  if (!full_duplex()) send_owed_chunks();
  end_if_done();
}

// Adds to the body. False if that was too much; then it was answered.
bool Exchange::collect(Incoming& message) {
  const uint64_t size = body_.size() + message.body.bytes;
  context_.record.bytes_in = size;
  if (size > settings_->max_body && settings_->max_body != 0) {
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
  trailers_came_ = request_ended_ = true;
  note_drops(message.headers(), trailer_drops_);
  if (request_ == Request::kReading) {
    note_subset(*message.rest);
    return whole();
  }
  if (request_ == Request::kWaiting) return;  // they are answered with the rest
  send_trailers(true, trailer_drops_);
  end_if_done();
}

// ---- on its way to the scheduler ----

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
  request_ = Request::kWaiting;
  context_.submit(make_waiter_(context_.routed().target));
}

// The gateway waits for a word on the headers before it shows the body, or more of it.
void Exchange::submit_unseen() {
  read_ns_ = Scheduler::now();
  share_.give_back();
  std::optional<std::vector<uint32_t>> only;
  if (!find_allowed(only)) return;
  const std::unique_ptr<Incoming> head = std::move(head_);
  const std::vector<Header> headers = head->headers();
  context_.admit_unseen(headers, peer_, content_length(headers), std::move(only));
  body_ = {};
  request_ = Request::kWaiting;
  context_.submit(make_waiter_({}));
}

// Requests without a body cost an engine nothing worth queueing for.
void Exchange::serve_unparked() {
  read_ns_ = Scheduler::now();
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

// ---- on its way to the gateway ----

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
    if (picks.size() >= settings_->max_endpoints) break;
    if (ranked.endpoint == decision.endpoint) continue;
    if (const auto other = backends.at(ranked.endpoint)) picks.push_back(endpoint_text(*other));
  }
  answer_request(picks, &decision);
}

void Exchange::answer_request(const std::vector<std::string>& picks, const Decision* decision) {
  request_ = Request::kPicked;
  const std::string list = fmt::format("{}", fmt::join(picks, ","));
  pb::ProcessingResponse response;
  const bool with_body = buffered() && body_came_;
  pb::CommonResponse& common = with_body ? *response.mutable_request_body()->mutable_response()
                                         : *response.mutable_request_headers()->mutable_response();
  fill_pick(response, common, list, decision);
  if (with_body && !context_.edits().empty()) {
    outbox.push(encode_with_body(response, true,
                                 Pieces::of(std::move(body_), std::move(context_.edits()))));
  } else {
    send(response);
  }
  if (!with_body) send_body();
  owed_chunks_ = 0;
  body_ = {};
  if (trailers_came_) send_trailers(true, trailer_drops_);
}

void Exchange::fill_pick(pb::ProcessingResponse& response, pb::CommonResponse& common,
                         const std::string& picks, const Decision* decision) {
  pb::HeaderMutation& mutation = *common.mutable_header_mutation();
  set_header(mutation, kDestination, picks);
  set_header(mutation, "x-request-id", context_.id());
  // Where the gateway does not know it. With a length there would be no trailers.
  const bool resized = full_duplex() || !context_.edits().empty();
  if (resized && !body_.empty() && !trailers_came_)
    set_header(mutation, "content-length", std::to_string(context_.edits().size(body_)));
  for (const std::string& name : drops_)
    if (!equals_ignoring_case(name, kDestination)) mutation.add_remove_headers(name);
  common.set_clear_route_cache(true);
  auto& fields = *(*response.mutable_dynamic_metadata()->mutable_fields())[kLbNamespace]
                      .mutable_struct_value();
  (*fields.mutable_fields())[kDestination].set_string_value(picks);
  if (!settings_->scores || decision == nullptr) return;
  auto& scores = *(*fields.mutable_fields())[kScoresKey].mutable_struct_value()->mutable_fields();
  for (const Ranked& ranked : decision->ranked)
    if (const auto address = here_.services.backends.at(ranked.endpoint))
      scores[endpoint_text(*address)].set_number_value(ranked.score);
}

// What the gateway holds back of the body, or has sent here, goes on.
void Exchange::send_body() {
  if (!body_came_) return;
  if (!full_duplex()) return send_owed_chunks();
  send_chunks(true, Pieces::of(std::move(body_), std::move(context_.edits())), !trailers_came_);
}

// One answer for each chunk: all of a body that has changed in the first, nothing in the others.
void Exchange::send_owed_chunks() {
  const bool changed = !body_.empty() && !context_.edits().empty();
  for (uint32_t i = 0; i < owed_chunks_; ++i) {
    Pieces body;
    if (changed && i == 0) body = Pieces::of(std::move(body_), std::move(context_.edits()));
    outbox.push(encode_body(true, changed, std::move(body)));
  }
  owed_chunks_ = 0;
}

}  // namespace sluice::ext_proc
