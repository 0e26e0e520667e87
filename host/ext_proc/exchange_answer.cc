// An exchange's other half: the answer on its way back.
#include <algorithm>
#include <charconv>

#include "host/ext_proc/endpoint_text.h"
#include "host/ext_proc/exchange.h"
#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

constexpr const char* kServed = "x-gateway-destination-endpoint-served";

using ProcessingMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;

std::string_view view(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

uint16_t status_in(const std::vector<Header>& headers) {
  const std::string_view text = find_header(headers, ":status").value_or("");
  uint16_t status = 0;
  std::from_chars(text.data(), text.data() + text.size(), status);
  return status;
}

void drop_own(const std::vector<Header>& headers, pb::HeaderMutation& mutation) {
  for (const Header& header : headers) {
    if (!is_own_in_answers(header.name)) continue;
    const auto& removed = mutation.remove_headers();
    if (std::find(removed.begin(), removed.end(), header.name) == removed.end())
      mutation.add_remove_headers(std::string(header.name));
  }
}

}  // namespace

void Exchange::on_response_headers(Incoming& message) {
  if (answer_ != Answer::kNone) return odd(message.kind, "a second time");
  const std::vector<Header> headers = message.headers();
  if (headers.size() > kHeadersMax)
    return end({grpc::StatusCode::INVALID_ARGUMENT, "response_headers has too many headers"});
  if (!picked()) {
    // The gateway answers by itself, since it has lost patience or was never to ask.
    context_.record.outcome = Outcome::kCancelled;
    if (context_.open()) context_.withdraw(Outcome::kClientGone, Outcome::kCancelled);
    if (request_ != Request::kNone) request_ = Request::kGone;
    share_.give_back();
    body_ = {};
  }
  context_.record.status = status_in(headers);
  if (picked()) context_.record.first_byte_ns = Scheduler::now() - read_ns_;
  note_details(*message.rest);
  note_served(*message.rest);
  usage_.emplace(context_.usage_options(find_header(headers, "content-type").value_or("")));

  pb::ProcessingResponse response;
  pb::CommonResponse& common = *response.mutable_response_headers()->mutable_response();
  pb::HeaderMutation& mutation = *common.mutable_header_mutation();
  drop_own(headers, mutation);
  // In full duplex the gateway leaves it out by itself.
  if (!usage_->passes_through() && answer_mode_ != ProcessingMode::FULL_DUPLEX_STREAMED)
    mutation.add_remove_headers("content-length");
  if (picked()) {
    mark(mutation);
  } else if (!context_.id().empty()) {
    set_header(mutation, "x-request-id", context_.id());  // of the gateway's answer nothing else
  }
  send(response);
  answer_ = answer_mode_ == ProcessingMode::NONE ? Answer::kUnseen : Answer::kBody;
  if (answer_ == Answer::kUnseen && !message.end_of_stream) context_.answer_is_unseen();
  if (message.end_of_stream) answer_ended();
  end_if_done();
}

void Exchange::note_details(const pb::ProcessingRequest& message) {
  for (const auto& [filter, attributes] : message.attributes()) {
    const auto details = attributes.fields().find("response.code_details");
    if (details == attributes.fields().end() || !details->second.has_string_value()) continue;
    const std::string& why = details->second.string_value();
    by_ = why == "via_upstream"          ? By::kEndpoint
          : why.starts_with("upstream_") ? By::kGatewayForEndpoint
                                         : By::kGateway;
    return;
  }
}

// The gateway may have fallen back on another endpoint of the list that it was given.
void Exchange::note_served(const pb::ProcessingRequest& message) {
  const google::protobuf::Value* served = metadata_of(message, kLbNamespace, kServed);
  if (served == nullptr || !served->has_string_value() || !context_.open()) return;
  const std::vector<uint32_t> slots =
      slots_named(here_.services.backends, {served->string_value()});
  if (slots.size() != 1 || slots.front() == slot_) return;
  const auto address = here_.services.backends.at(slots.front());
  if (!address) return;
  slot_ = slots.front();
  context_.endpoint = address->name;
  context_.served_by(slot_);
}

bool Exchange::answer_comes_in_one() const {
  return answer_mode_ == ProcessingMode::BUFFERED ||
         answer_mode_ == ProcessingMode::BUFFERED_PARTIAL;
}

void Exchange::on_response_body(Incoming& message) {
  if (answer_ == Answer::kNone) return odd(message.kind, "before response_headers");
  if (answer_ != Answer::kBody) return odd(message.kind, "after the answer's end");
  if (answer_mode_ == ProcessingMode::STREAMED || answer_comes_in_one()) {
    pass_one(std::move(message.body), message.end_of_stream);
  } else {
    pass_on(std::move(message.body), message.end_of_stream);
  }
  context_.progress(*usage_);
  if (message.end_of_stream) answer_ended();
  end_if_done();
}

// In full duplex chunks go as there is something to send.
void Exchange::pass_on(Pieces body, bool end_of_stream) {
  std::string out;
  if (usage_->passes_through()) {
    for (const grpc::Slice& slice : body.slices) usage_->observe(view(slice));
    if (end_of_stream) usage_->finish(out);
  } else {
    for (const grpc::Slice& slice : body.slices) usage_->feed(view(slice), out);
    if (end_of_stream) usage_->finish(out);
    body = Pieces::of(std::move(out));
  }
  context_.record.bytes_out += body.bytes;
  if (body.bytes != 0 || end_of_stream) send_chunks(false, std::move(body), end_of_stream);
}

// In the other modes each message is answered by one.
void Exchange::pass_one(Pieces body, bool end_of_stream) {
  const bool last = end_of_stream || answer_mode_ != ProcessingMode::STREAMED;
  std::string out;
  if (usage_->passes_through()) {
    for (const grpc::Slice& slice : body.slices) usage_->observe(view(slice));
    if (last) usage_->finish(out);
    context_.record.bytes_out += body.bytes;
    outbox.push(encode_body(false, false, {}));
    return;
  }
  for (const grpc::Slice& slice : body.slices) usage_->feed(view(slice), out);
  if (last) usage_->finish(out);
  context_.record.bytes_out += out.size();
  outbox.push(encode_body(false, true, Pieces::of(std::move(out))));
}

void Exchange::on_response_trailers(Incoming& message) {
  if (answer_ == Answer::kNone) return odd(message.kind, "before response_headers");
  if (answer_ == Answer::kEnded) return odd(message.kind, "after the answer's end");
  std::string rest;
  usage_->finish(rest);
  // Elsewhere the body has gone already. Only of one that breaks off inside of the model's name, or
  // of an event, is anything held back by then.
  if (answer_mode_ == ProcessingMode::FULL_DUPLEX_STREAMED && !rest.empty())
    send_chunks(false, Pieces::of(std::move(rest)), false);
  pb::HeaderMutation drops;
  drop_own(message.headers(), drops);
  send_trailers(false, {drops.remove_headers().begin(), drops.remove_headers().end()});
  answer_ended();
  end_if_done();
}

// The answer is through. The room is free as soon as the server is done.
void Exchange::answer_ended() {
  answer_ = Answer::kEnded;
  context_.note_usage(*usage_);
  if (!picked()) return;
  const bool local = by_ == By::kGateway || by_ == By::kGatewayForEndpoint;
  context_.record.outcome = local ? Outcome::kUpstreamError : Outcome::kCompleted;
  // A gateway that does not say whose answer it is makes up a 5xx for an endpoint that is dead.
  const bool good = by_ == By::kEndpoint || (by_ == By::kUnknown && context_.record.status < 500);
  if (good) here_.services.backends.succeeded(slot_);
  if (by_ == By::kGatewayForEndpoint) here_.services.backends.failed(slot_);
  context_.complete(context_.record.outcome);
}

}  // namespace sluice::ext_proc
