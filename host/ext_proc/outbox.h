// Messages on their way to a gateway, in order.
//
// gRPC's ByteBuffer cannot be moved, only swapped; so those that have been taken stay behind,
// empty, until all have been. Complexity: O(1) each, amortised. Memory: nothing while it is new.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <vector>

namespace sluice::ext_proc {

class Outbox {
 public:
  void push(grpc::ByteBuffer message) {
    bytes_ += message.Length();
    messages_.emplace_back().Swap(&message);
  }
  grpc::ByteBuffer take() {
    grpc::ByteBuffer message;
    message.Swap(&messages_[taken_++]);
    bytes_ -= message.Length();
    if (empty()) clear();
    return message;
  }
  bool empty() const { return taken_ == messages_.size(); }
  size_t bytes() const { return bytes_; }
  void clear() {
    messages_ = {};
    taken_ = bytes_ = 0;
  }

 private:
  std::vector<grpc::ByteBuffer> messages_;
  size_t taken_ = 0, bytes_ = 0;
};

}  // namespace sluice::ext_proc
