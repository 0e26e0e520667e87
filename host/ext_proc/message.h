// The messages of an ext_proc stream, on their way between gRPC's buffers and the exchange.
//
// Bodies are never copied here: what comes is slices of gRPC's own memory, what goes is slices of
// that or of a body that somebody keeps alive. Everything else goes through Protobuf. Threads:
// values.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "envoy/service/ext_proc/v3/external_processor.pb.h"
#include "host/request/edit.h"
#include "host/request/headers.h"

namespace sluice::ext_proc {

namespace pb = envoy::service::ext_proc::v3;
using BodyMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode_BodySendMode;

// A body, or a part of one.
struct Pieces {
  std::vector<grpc::Slice> slices;
  size_t bytes = 0;

  void add(grpc::Slice slice);
  void append_to(std::string& out) const;
  // Takes the first BYTES, of which there are so many.
  Pieces take(size_t bytes);
  // BODY with EDITS, both kept alive by the slices.
  static Pieces of(std::string body, BodyEdits edits = {});
};

// One ProcessingRequest. `rest` holds all of it but a body.
struct Incoming {
  using Kind = pb::ProcessingRequest::RequestCase;
  Kind kind = pb::ProcessingRequest::REQUEST_NOT_SET;
  std::unique_ptr<pb::ProcessingRequest> rest;
  Pieces body;
  bool end_of_stream = false;

  // False if BYTES are no such message.
  bool decode(grpc::ByteBuffer& bytes);
  // Of headers and trailers, as views into `rest`.
  std::vector<Header> headers() const;
};

inline constexpr const char* kLbNamespace = "envoy.lb";
inline constexpr const char* kDestination = "x-gateway-destination-endpoint";

// A field of a namespace of the gateway's metadata; null if there is none.
const google::protobuf::Value* metadata_of(const pb::ProcessingRequest& message,
                                           const std::string& space, const std::string& key);
// Replaces a header, or adds it.
void set_header(pb::HeaderMutation& mutation, std::string_view name, std::string_view value);

const char* name_of(Incoming::Kind kind);  // "request_headers"

grpc::ByteBuffer encode(const google::protobuf::MessageLite& message);

// A chunk of a body in FULL_DUPLEX_STREAMED mode, made without a copy of it.
grpc::ByteBuffer encode_chunk(bool of_request, Pieces body, bool end_of_stream);
// What stands for a body or a chunk of one in the other modes: `body` instead, where REPLACED;
// nothing instead if that is empty.
grpc::ByteBuffer encode_body(bool of_request, bool replaced, Pieces body);
// RESPONSE with such a body in it.
grpc::ByteBuffer encode_with_body(const pb::ProcessingResponse& response, bool of_request,
                                  Pieces body);

}  // namespace sluice::ext_proc
