#include "tests/bench/epp/bare_picker.h"

#include <fmt/format.h>
#include <google/protobuf/arena.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "envoy/service/ext_proc/v3/external_processor.pb.h"
#include "tests/bench/epp/tag.h"

namespace sluice::bench {
namespace {

using envoy::service::ext_proc::v3::ProcessingRequest;
using envoy::service::ext_proc::v3::ProcessingResponse;
using google::protobuf::Arena;

constexpr size_t kChunk = 62'000;
constexpr int kThreads = 2;
constexpr int kAccepting = 64;  // streams that each queue is ready to take at once
constexpr std::string_view kHeader = "x-gateway-destination-endpoint";
constexpr const char* kEndpoint = "127.0.0.1:8101";

// One thread's queue, and the memory of the message that it is at.
struct Worker {
  Worker(grpc::AsyncGenericService& taken_from, grpc::ServerBuilder& builder)
      : service(taken_from), queue(builder.AddCompletionQueue()) {}

  grpc::AsyncGenericService& service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  Arena arena;
};

// One ext_proc stream, which is its own owner: from when it is ready to be taken to its end.
class Stream {
 public:
  explicit Stream(Worker& worker) : worker_(worker) {
    worker.service.RequestCall(&context_, &call_, worker.queue.get(), worker.queue.get(),
                               &accepted_tag_);
  }

 private:
  void accepted(bool ok) {
    if (!ok) return destroy();
    new Stream(worker_);
    call_.Read(&in_, &read_tag_);
  }

  void read(bool ok) {
    if (!ok) {
      client_done_ = true;
      if (!writing_) finish();
      return;
    }
    auto* message = Arena::CreateMessage<ProcessingRequest>(&worker_.arena);
    grpc::ProtoBufferReader reader(&in_);
    if (message->ParseFromZeroCopyStream(&reader)) take(*message);
    worker_.arena.Reset();
    call_.Read(&in_, &read_tag_);
  }

  void take(const ProcessingRequest& message) {
    switch (message.request_case()) {
      case ProcessingRequest::kRequestHeaders:
        if (message.request_headers().end_of_stream()) pick();
        break;
      case ProcessingRequest::kRequestBody:
        body_ += message.request_body().body();
        if (!message.request_body().end_of_stream()) break;
        pick();
        for (size_t at = 0; at < body_.size(); at += kChunk) {
          ProcessingResponse& answer = make_answer();
          auto& chunk = *answer.mutable_request_body()
                             ->mutable_response()
                             ->mutable_body_mutation()
                             ->mutable_streamed_response();
          chunk.set_body(body_.data() + at, std::min(kChunk, body_.size() - at));
          chunk.set_end_of_stream(at + kChunk >= body_.size());
          send(answer);
        }
        std::string().swap(body_);
        break;
      case ProcessingRequest::kResponseHeaders: {
        ProcessingResponse& answer = make_answer();
        answer.mutable_response_headers();
        send(answer);
        break;
      }
      case ProcessingRequest::kResponseBody: {
        ProcessingResponse& answer = make_answer();
        auto& chunk = *answer.mutable_response_body()
                           ->mutable_response()
                           ->mutable_body_mutation()
                           ->mutable_streamed_response();
        chunk.set_body(message.response_body().body());
        chunk.set_end_of_stream(message.response_body().end_of_stream());
        send(answer);
        break;
      }
      default:
        break;
    }
    if (!writing_) write();
  }

  void pick() {
    ProcessingResponse& answer = make_answer();
    auto& response = *answer.mutable_request_headers()->mutable_response();
    const auto set = [&](std::string_view key, std::string_view value) {
      auto* header = response.mutable_header_mutation()->add_set_headers()->mutable_header();
      header->set_key(key.data(), key.size());
      header->set_raw_value(value.data(), value.size());
    };
    set(kHeader, kEndpoint);
    if (!body_.empty()) set("content-length", std::to_string(body_.size()));
    response.set_clear_route_cache(true);
    auto& metadata = *answer.mutable_dynamic_metadata()->mutable_fields();
    (*metadata["envoy.lb"].mutable_struct_value()->mutable_fields())[std::string(kHeader)]
        .set_string_value(kEndpoint);
    send(answer);
  }

  ProcessingResponse& make_answer() {
    return *Arena::CreateMessage<ProcessingResponse>(&worker_.arena);
  }

  void send(const ProcessingResponse& answer) {
    const grpc::Slice slice(answer.ByteSizeLong());
    answer.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
    out_.emplace_back(&slice, 1);
  }

  void write() {
    if (out_.empty()) return;
    grpc::WriteOptions options;
    // The first message takes the initial metadata along; gRPC 1.51 lets both lie until something
    // else is written if there is a hint, and that need not come.
    if (out_.size() > 1 && !first_) options.set_buffer_hint();
    first_ = false;
    writing_ = true;
    call_.Write(out_.front(), options, &wrote_tag_);
    out_.pop_front();
  }

  void wrote(bool ok) {
    writing_ = false;
    if (!ok) out_.clear();  // the client is gone, as read() learns
    write();
    if (client_done_ && !writing_) finish();
  }

  void finish() { call_.Finish(grpc::Status::OK, &finished_tag_); }
  void finished(bool) { destroy(); }
  void destroy() { delete this; }

  Worker& worker_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter call_{&context_};
  grpc::ByteBuffer in_;
  std::string body_;
  std::deque<grpc::ByteBuffer> out_;
  bool first_ = true, writing_ = false, client_done_ = false;
  Tag<Stream> accepted_tag_{this, &Stream::accepted}, read_tag_{this, &Stream::read},
      wrote_tag_{this, &Stream::wrote}, finished_tag_{this, &Stream::finished};
};

void work(Worker& worker) {
  for (int i = 0; i < kAccepting; ++i) new Stream(worker);
  void* tag = nullptr;
  for (bool ok = false; worker.queue->Next(&tag, &ok);) resume<Stream>(tag, ok);
}

}  // namespace

int run_bare_picker() {
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&service);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  std::deque<Worker> workers;
  for (int i = 0; i < kThreads; ++i) workers.emplace_back(service, builder);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  fmt::print("listening on 127.0.0.1:{}\n", port);
  std::fflush(stdout);
  std::thread other([&] { work(workers[1]); });
  work(workers[0]);
  other.join();
  return 1;
}

}  // namespace sluice::bench
