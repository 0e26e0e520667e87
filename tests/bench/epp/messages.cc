#include "tests/bench/epp/messages.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <iterator>
#include <string_view>

#include "envoy/service/ext_proc/v3/external_processor.pb.h"

namespace sluice::bench {
namespace {

using envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
using envoy::service::ext_proc::v3::HttpHeaders;
using envoy::service::ext_proc::v3::ProcessingRequest;
using envoy::service::ext_proc::v3::ProcessingResponse;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr size_t kChunk = size_t{16} << 10;

// ---- what is sent ----

grpc::ByteBuffer serialised(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

void add(HttpHeaders& headers, std::string_view key, std::string_view value) {
  auto* header = headers.mutable_headers()->add_headers();
  header->set_key(key.data(), key.size());
  header->set_raw_value(value.data(), value.size());
}

// As a client of OpenAI's own Python library and an Envoy make them.
grpc::ByteBuffer request_headers(uint32_t prompt, uint32_t body_bytes) {
  ProcessingRequest message;
  HttpHeaders& headers = *message.mutable_request_headers();
  add(headers, ":method", "POST");
  add(headers, ":scheme", "http");
  add(headers, ":authority", "inference.example.com");
  add(headers, ":path", "/v1/chat/completions");
  add(headers, "accept", "application/json");
  add(headers, "accept-encoding", "gzip, deflate");
  add(headers, "content-type", "application/json");
  add(headers, "content-length", std::to_string(body_bytes));
  add(headers, "user-agent", "OpenAI/Python 1.99.0");
  add(headers, "authorization", "Bearer sk-0123456789abcdef0123456789abcdef");
  add(headers, "x-stainless-lang", "python");
  add(headers, "x-stainless-package-version", "1.99.0");
  add(headers, "x-stainless-os", "Linux");
  add(headers, "x-stainless-arch", "x64");
  add(headers, "x-stainless-runtime", "CPython");
  add(headers, "x-stainless-runtime-version", "3.11.2");
  add(headers, "x-stainless-retry-count", "0");
  add(headers, "x-forwarded-for", "10.0.0.1");
  add(headers, "x-forwarded-proto", "http");
  add(headers, "x-request-id", fmt::format("6f1de5a2-43bb-4cd9-9d63-{:012x}", prompt));
  auto& modes = *message.mutable_protocol_config();
  modes.set_request_body_mode(ProcessingMode::FULL_DUPLEX_STREAMED);
  modes.set_response_body_mode(ProcessingMode::FULL_DUPLEX_STREAMED);
  return serialised(message);
}

std::string request_body(uint32_t bytes) {
  const std::string_view back = R"("}]})";
  std::string body = R"({"model":"sim-model","max_tokens":200,"messages":[{"role":"user",)"
                     R"("content":"000 )";
  body.reserve(bytes);
  while (body.size() + back.size() < bytes) body += "what goes first? "[body.size() % 17];
  return body.append(back);
}

grpc::ByteBuffer request_chunk(std::string_view body, size_t begin) {
  const std::string_view chunk = body.substr(begin, kChunk);
  ProcessingRequest message;
  message.mutable_request_body()->set_body(chunk.data(), chunk.size());
  message.mutable_request_body()->set_end_of_stream(begin + chunk.size() == body.size());
  return serialised(message);
}

constexpr std::string_view kCompletion =
    R"({"id":"chatcmpl-6f1de5a243bb4cd99d63","object":"chat.completion","created":1764100000,)"
    R"("model":"sim-model","choices":[{"index":0,"message":{"role":"assistant","content":)"
    R"("Whatever is most urgent goes first, and among equals whoever has had the least."},)"
    R"("logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":230,)"
    R"("completion_tokens":19,"total_tokens":249,"prompt_tokens_details":{"cached_tokens":192}}})";

grpc::ByteBuffer response_headers() {
  ProcessingRequest message;
  HttpHeaders& headers = *message.mutable_response_headers();
  add(headers, ":status", "200");
  add(headers, "content-type", "application/json");
  add(headers, "content-length", std::to_string(kCompletion.size()));
  add(headers, "date", "Tue, 25 Nov 2025 20:00:00 GMT");
  add(headers, "server", "uvicorn");
  return serialised(message);
}

grpc::ByteBuffer response_body() {
  ProcessingRequest message;
  message.mutable_response_body()->set_body(kCompletion.data(), kCompletion.size());
  message.mutable_response_body()->set_end_of_stream(true);
  return serialised(message);
}

// ---- what is read ----

// From BodyResponse to its StreamedBodyResponse: response, body_mutation, streamed_response.
constexpr uint32_t kPath[] = {1, 3, 3};

// The fields of the message up to the limit of IN; those that VISIT does not take are skipped.
template <typename Visit>
void each_field(CodedInputStream& in, Visit visit) {
  while (const uint32_t tag = in.ReadTag())
    if (!visit(tag >> 3) && !WireFormatLite::SkipField(&in, tag)) return;
}

void read_body(CodedInputStream& in, size_t depth, Answer& answer) {
  uint32_t bytes = 0;
  in.ReadVarint32(&bytes);
  const auto limit = in.PushLimit(static_cast<int>(bytes));
  each_field(in, [&](uint32_t field) {
    uint32_t value = 0;
    if (depth < std::size(kPath)) {
      if (field != kPath[depth]) return false;
      read_body(in, depth + 1, answer);
    } else if (field == 1) {
      in.ReadVarint32(&value);
      in.Skip(static_cast<int>(value));
      answer.body_bytes += value;
    } else if (field == 2) {
      in.ReadVarint32(&value);
      answer.end_of_stream = value != 0;
    } else {
      return false;
    }
    return true;
  });
  in.PopLimit(limit);
}

}  // namespace

Messages::Messages(uint32_t body_bytes) : body_bytes_(body_bytes) {
  std::string body = request_body(body_bytes);
  const size_t mark = body.find("000 ");
  for (uint32_t prompt = 0; prompt < kPrompts; ++prompt) {
    body.replace(mark, 3, fmt::format("{:03}", prompt));
    headers_.push_back(request_headers(prompt, body_bytes));
    first_chunk_.push_back(request_chunk(body, 0));
  }
  for (size_t at = kChunk; at < body.size(); at += kChunk) rest_.push_back(request_chunk(body, at));
  response_.push_back(response_headers());
  response_.push_back(response_body());
}

const grpc::ByteBuffer& Messages::request(uint64_t number, size_t at) const {
  if (at == 0) return headers_[number % kPrompts];
  if (at == 1) return first_chunk_[number % kPrompts];
  return rest_[at - 2];
}

Answer read_answer(grpc::ByteBuffer& message) {
  Answer answer;
  grpc::ProtoBufferReader reader(&message);
  CodedInputStream in(&reader);
  each_field(in, [&](uint32_t field) {
    if (field > Answer::kImmediate) return false;
    answer.kind = static_cast<Answer::Kind>(field);
    if (field != Answer::kRequestBody && field != Answer::kResponseBody) return false;
    read_body(in, 0, answer);
    return true;
  });
  return answer;
}

std::string in_words(grpc::ByteBuffer& message) {
  ProcessingResponse response;
  grpc::ProtoBufferReader reader(&message);
  if (!response.ParseFromZeroCopyStream(&reader)) return "something that is no ProcessingResponse";
  return response.ShortDebugString().substr(0, 600);
}

}  // namespace sluice::bench
