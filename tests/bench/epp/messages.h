// What Envoy says on an ext_proc stream for a chat completion, made once and sent many times, and
// as much reading of the answers as a benchmark needs.
//
// Requests differ as those of kPrompts conversations do: each has a request id and a prompt of its
// own, whose first words differ, so that no two of them share a prefix.
// Threads: const functions from any. Complexity: reading an answer touches no byte of a body.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::bench {

inline constexpr const char* kProcess = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
inline constexpr uint32_t kPrompts = 256;

class Messages {
 public:
  explicit Messages(uint32_t body_bytes);

  uint32_t body_bytes() const { return body_bytes_; }
  // Of any request: headers, and chunks of 16 KiB of which the last ends the stream.
  size_t request_size() const { return 1 + rest_.size() + 1; }
  const grpc::ByteBuffer& request(uint64_t number, size_t at) const;
  // Headers, and a body in one piece that tells of usage.
  static constexpr size_t kResponseSize = 2;
  const grpc::ByteBuffer& response(size_t at) const { return response_[at]; }

 private:
  uint32_t body_bytes_;
  std::vector<grpc::ByteBuffer> headers_, first_chunk_;  // one a prompt
  std::vector<grpc::ByteBuffer> rest_;                   // the chunks after the first
  std::vector<grpc::ByteBuffer> response_;
};

struct Answer {
  // The numbers of the fields in ProcessingResponse.
  enum Kind : uint32_t {
    kNone = 0,
    kRequestHeaders = 1,
    kResponseHeaders = 2,
    kRequestBody = 3,
    kResponseBody = 4,
    kImmediate = 7
  };
  Kind kind = kNone;
  size_t body_bytes = 0;       // of a streamed response
  bool end_of_stream = false;  // the same
};

Answer read_answer(grpc::ByteBuffer& message);
// All of MESSAGE in words, for the last message of a program that cannot go on.
std::string in_words(grpc::ByteBuffer& message);

}  // namespace sluice::bench
