#include "host/ext_proc/message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpc/slice.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <algorithm>

namespace sluice::ext_proc {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint32_t kRequestBody = pb::ProcessingRequest::kRequestBodyFieldNumber;
constexpr uint32_t kResponseBody = pb::ProcessingRequest::kResponseBodyFieldNumber;

grpc::Slice part_of(const grpc::Slice& slice, size_t begin, size_t end) {
  return slice.sub(begin, end);
}

// The bytes from BEGIN to END of the message that SLICES are.
Pieces cut_out(const std::vector<grpc::Slice>& slices, size_t begin, size_t end) {
  Pieces out;
  size_t at = 0;
  for (const grpc::Slice& slice : slices) {
    const size_t first = std::max(begin, at), last = std::min(end, at + slice.size());
    if (first < last) out.add(part_of(slice, first - at, last - at));
    at += slice.size();
  }
  return out;
}

bool skip(CodedInputStream& in, uint32_t tag) { return WireFormatLite::SkipField(&in, tag); }

// Whether a value was all there: a stream that is cut off ends before its limit.
bool ends_at_limit(CodedInputStream& in, CodedInputStream::Limit before) {
  const bool whole = in.ConsumedEntireMessage() && in.BytesUntilLimit() == 0;
  in.PopLimit(before);
  return whole;
}

// Reads the HttpBody that is the next field's value; says where in the message its body lies.
bool read_body(CodedInputStream& in, size_t& begin, size_t& end, bool& end_of_stream) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return false;
  const auto limit = in.PushLimit(static_cast<int>(size));
  if (in.BytesUntilLimit() < 0) return false;
  begin = end = 0;
  end_of_stream = false;
  while (const uint32_t tag = in.ReadTag()) {
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    const auto type = WireFormatLite::GetTagWireType(tag);
    uint32_t value = 0;
    if (field == pb::HttpBody::kBodyFieldNumber &&
        type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!in.ReadVarint32(&value)) return false;
      begin = static_cast<size_t>(in.CurrentPosition());
      end = begin + value;
      if (!in.Skip(static_cast<int>(value))) return false;
    } else if (field == pb::HttpBody::kEndOfStreamFieldNumber &&
               type == WireFormatLite::WIRETYPE_VARINT) {
      uint64_t flag = 0;
      if (!in.ReadVarint64(&flag)) return false;
      end_of_stream = flag != 0;
    } else if (!skip(in, tag)) {
      return false;
    }
  }
  return ends_at_limit(in, limit);
}

bool read_message(CodedInputStream& in, google::protobuf::MessageLite& message) {
  uint32_t size = 0;
  if (!in.ReadVarint32(&size)) return false;
  const auto limit = in.PushLimit(static_cast<int>(size));
  return message.MergePartialFromCodedStream(&in) && ends_at_limit(in, limit);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// The tag and the length of a field whose value has SIZE bytes, before what OUT begins with.
void wrap(std::string& out, uint32_t field, size_t size) {
  std::string head;
  put_varint(head, uint64_t{field} << 3 | WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  put_varint(head, size);
  out.insert(0, head);
}

// FIELDS from the inside out: a ProcessingResponse whose innermost field is BODY and then TAIL.
grpc::ByteBuffer encode_nested(std::initializer_list<uint32_t> fields, Pieces body,
                               const std::string& tail) {
  std::string head;
  size_t size = body.bytes + tail.size();
  const uint32_t* outer = fields.begin() + 1;
  if (body.bytes != 0) {
    wrap(head, *fields.begin(), body.bytes);
    size += head.size();
  }
  for (; outer != fields.end(); ++outer) {
    wrap(head, *outer, size);
    size += 1 + varint_size(size);
  }
  std::vector<grpc::Slice> slices;
  slices.reserve(body.slices.size() + 2);
  slices.emplace_back(head);
  for (grpc::Slice& slice : body.slices) slices.push_back(std::move(slice));
  if (!tail.empty()) slices.emplace_back(tail);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

uint32_t body_field(bool of_request) {
  return of_request ? pb::ProcessingResponse::kRequestBodyFieldNumber
                    : pb::ProcessingResponse::kResponseBodyFieldNumber;
}

}  // namespace

// ---- bodies ----

void Pieces::add(grpc::Slice slice) {
  if (slice.size() == 0) return;
  bytes += slice.size();
  slices.push_back(std::move(slice));
}

void Pieces::append_to(std::string& out) const {
  for (const grpc::Slice& slice : slices)
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

Pieces Pieces::take(size_t wanted) {
  Pieces out;
  size_t whole = 0;
  while (whole < slices.size() && out.bytes + slices[whole].size() <= wanted)
    out.add(std::move(slices[whole++]));
  slices.erase(slices.begin(), slices.begin() + static_cast<std::ptrdiff_t>(whole));
  if (out.bytes < wanted) {
    grpc::Slice& next = slices.front();
    const size_t part = wanted - out.bytes;
    out.add(part_of(next, 0, part));
    next = part_of(next, part, next.size());
  }
  bytes -= out.bytes;
  return out;
}

Pieces Pieces::of(std::string body, BodyEdits edits) {
  struct Kept {
    std::string body;
    BodyEdits edits;
  };
  const auto kept = std::make_shared<Kept>(Kept{std::move(body), std::move(edits)});
  std::vector<std::string_view> pieces;
  kept->edits.pieces(kept->body, pieces);
  Pieces out;
  for (const std::string_view piece : pieces)
    out.add(grpc::Slice(
        const_cast<char*>(piece.data()), piece.size(),
        [](void* owner) { delete static_cast<std::shared_ptr<Kept>*>(owner); },
        new std::shared_ptr<Kept>(kept)));
  return out;
}

// ---- what comes ----

bool Incoming::decode(grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) return false;
  rest = std::make_unique<pb::ProcessingRequest>();
  size_t begin = 0, end = 0;
  {
    grpc::ProtoBufferReader reader(&bytes);
    if (!reader.status().ok()) return false;
    CodedInputStream in(&reader);
    // Bodies come most often, and alone: they are looked for first.
    while (const uint32_t tag = in.ReadTag()) {
      const auto field = static_cast<uint32_t>(WireFormatLite::GetTagFieldNumber(tag));
      const bool length_delimited =
          WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      bool good = true;
      if (length_delimited && (field == kRequestBody || field == kResponseBody)) {
        good = read_body(in, begin, end, end_of_stream);
        kind = static_cast<Kind>(field);
      } else if (length_delimited && field == pb::ProcessingRequest::kMetadataContextFieldNumber) {
        good = read_message(in, *rest->mutable_metadata_context());
      } else if (length_delimited && field == pb::ProcessingRequest::kProtocolConfigFieldNumber) {
        good = read_message(in, *rest->mutable_protocol_config());
      } else {
        if (field >= pb::ProcessingRequest::kRequestHeadersFieldNumber &&
            field <= pb::ProcessingRequest::kResponseTrailersFieldNumber)
          kind = static_cast<Kind>(field);
        good = skip(in, tag);
      }
      if (!good) return false;
    }
    if (!in.ConsumedEntireMessage()) return false;
  }
  if (kind == pb::ProcessingRequest::kRequestBody || kind == pb::ProcessingRequest::kResponseBody) {
    body = cut_out(slices, begin, end);
    return true;
  }
  rest->Clear();
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok() || !rest->ParseFromZeroCopyStream(&reader)) return false;
  kind = rest->request_case();
  if (kind == pb::ProcessingRequest::kRequestHeaders)
    end_of_stream = rest->request_headers().end_of_stream();
  if (kind == pb::ProcessingRequest::kResponseHeaders)
    end_of_stream = rest->response_headers().end_of_stream();
  return true;
}

std::vector<Header> Incoming::headers() const {
  const envoy::config::core::v3::HeaderMap* map = nullptr;
  switch (kind) {
    case pb::ProcessingRequest::kRequestHeaders:
      map = &rest->request_headers().headers();
      break;
    case pb::ProcessingRequest::kResponseHeaders:
      map = &rest->response_headers().headers();
      break;
    case pb::ProcessingRequest::kRequestTrailers:
      map = &rest->request_trailers().trailers();
      break;
    case pb::ProcessingRequest::kResponseTrailers:
      map = &rest->response_trailers().trailers();
      break;
    default:
      return {};
  }
  std::vector<Header> headers;
  headers.reserve(static_cast<size_t>(map->headers_size()));
  for (const auto& header : map->headers())
    headers.push_back(
        {header.key(), header.raw_value().empty() ? header.value() : header.raw_value()});
  return headers;
}

const google::protobuf::Value* metadata_of(const pb::ProcessingRequest& message,
                                           const std::string& space, const std::string& key) {
  const auto& spaces = message.metadata_context().filter_metadata();
  const auto found = spaces.find(space);
  if (found == spaces.end()) return nullptr;
  const auto value = found->second.fields().find(key);
  return value == found->second.fields().end() ? nullptr : &value->second;
}

void set_header(pb::HeaderMutation& mutation, std::string_view name, std::string_view value) {
  auto& header = *mutation.add_set_headers()->mutable_header();
  header.set_key(name.data(), name.size());
  header.set_raw_value(value.data(), value.size());
}

const char* name_of(Incoming::Kind kind) {
  switch (kind) {
    case pb::ProcessingRequest::kRequestHeaders:
      return "request_headers";
    case pb::ProcessingRequest::kResponseHeaders:
      return "response_headers";
    case pb::ProcessingRequest::kRequestBody:
      return "request_body";
    case pb::ProcessingRequest::kResponseBody:
      return "response_body";
    case pb::ProcessingRequest::kRequestTrailers:
      return "request_trailers";
    case pb::ProcessingRequest::kResponseTrailers:
      return "response_trailers";
    case pb::ProcessingRequest::REQUEST_NOT_SET:
      break;
  }
  return "a message that says nothing that is known here";
}

// ---- what goes ----

grpc::ByteBuffer encode(const google::protobuf::MessageLite& message) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer encode_chunk(bool of_request, Pieces body, bool end_of_stream) {
  std::string tail;
  if (end_of_stream) {
    tail += static_cast<char>(pb::StreamedBodyResponse::kEndOfStreamFieldNumber << 3);
    tail += '\1';
  }
  return encode_nested(
      {pb::StreamedBodyResponse::kBodyFieldNumber, pb::BodyMutation::kStreamedResponseFieldNumber,
       pb::CommonResponse::kBodyMutationFieldNumber, pb::BodyResponse::kResponseFieldNumber,
       body_field(of_request)},
      std::move(body), tail);
}

grpc::ByteBuffer encode_body(bool of_request, bool replaced, Pieces body) {
  if (replaced && body.bytes != 0)
    return encode_nested(
        {pb::BodyMutation::kBodyFieldNumber, pb::CommonResponse::kBodyMutationFieldNumber,
         pb::BodyResponse::kResponseFieldNumber, body_field(of_request)},
        std::move(body), {});
  pb::ProcessingResponse response;
  pb::BodyResponse& answer =
      of_request ? *response.mutable_request_body() : *response.mutable_response_body();
  pb::CommonResponse& common = *answer.mutable_response();
  if (replaced) common.mutable_body_mutation()->set_clear_body(true);
  return encode(response);
}

// Two messages one behind the other are one: Protobuf puts the parts of a field together.
grpc::ByteBuffer encode_with_body(const pb::ProcessingResponse& response, bool of_request,
                                  Pieces body) {
  std::vector<grpc::Slice> slices, rest;
  (void)encode(response).Dump(&slices);
  (void)encode_body(of_request, true, std::move(body)).Dump(&rest);
  std::move(rest.begin(), rest.end(), std::back_inserter(slices));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace sluice::ext_proc
