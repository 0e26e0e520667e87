#include "tests/bench/epp/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tests/bench/epp/tag.h"
#include "tests/bench/rig/rig.h"

namespace sluice::bench {
namespace {

// What a server that answers nothing more is given.
constexpr std::chrono::seconds kPatience{30};
// What a stream may have received and not yet read: more than a body of the sweep, so that it is
// never the gateway that makes a server wait.
constexpr int kWindowBytes = 1 << 20;

double milliseconds(Gateway::Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::unique_ptr<grpc::GenericStub> connection(uint16_t port) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  // What a gateway on the same machine does not need, and would pay for.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_MINIMAL_STACK, 1);
  return std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
      fmt::format("ipv4:127.0.0.1:{}", port), grpc::InsecureChannelCredentials(), arguments));
}

}  // namespace

class Gateway::Stream {
 public:
  explicit Stream(Gateway& gateway) : gateway_(gateway) {}

  // One operation and no more, so that another thread may take what comes after it.
  void begin(uint64_t number) {
    number_ = number;
    begun_ = Clock::now();
    sent_ = received_bytes_ = 0;
    may_send_ = messages().request_size();
    last_ = Answer::kNone;
    complete_ = false;
    to_end_ = 2;
    call_.reset();
    context_.emplace();
    context_->set_initial_metadata_corked(true);  // it goes with the first message
    context_->set_wait_for_ready(true);
    auto& connections = gateway_.connections_;
    call_ = connections[number % connections.size()]->PrepareCall(&*context_, kProcess,
                                                                  &gateway_.queue_);
    call_->StartCall(nullptr);
    write();
  }

  void respond() {
    may_send_ += Messages::kResponseSize;
    if (!writing_) write();
  }

 private:
  const Messages& messages() const { return gateway_.messages_; }

  // What comes next, if anything may.
  void write() {
    if (sent_ == may_send_) {
      if (complete_) call_->WritesDone(&end_tag_);
      return;
    }
    const size_t request = messages().request_size(), at = sent_++;
    grpc::WriteOptions options;
    if (sent_ != may_send_) options.set_buffer_hint();
    if (sent_ == request) asked_ = Clock::now();
    writing_ = true;
    call_->Write(at < request ? messages().request(number_, at) : messages().response(at - request),
                 options, &wrote_tag_);
  }

  void wrote(bool ok) {
    writing_ = false;
    if (!ok) return fail();
    if (sent_ == 1) call_->Read(&in_, &read_tag_);
    write();
  }

  void read(bool ok) {
    if (!ok) return fail();
    const Answer answer = read_answer(in_);
    received_bytes_ += answer.body_bytes;
    switch (answer.kind) {
      case Answer::kRequestHeaders:
        expect(last_ == Answer::kNone && sent_ == messages().request_size());
        picked_ = Clock::now();
        break;
      case Answer::kRequestBody:
        expect(last_ == Answer::kRequestHeaders || last_ == Answer::kRequestBody);
        if (!answer.end_of_stream) break;
        expect(received_bytes_ == messages().body_bytes());
        if (gateway_.holding_) {
          gateway_.held_.push_back(this);
        } else {
          respond();
        }
        break;
      case Answer::kResponseHeaders:
        expect(last_ == Answer::kRequestBody && sent_ > messages().request_size());
        break;
      case Answer::kResponseBody:
        expect(last_ == Answer::kResponseHeaders || last_ == Answer::kResponseBody);
        if (answer.end_of_stream) return end();
        break;
      default:
        expect(false);
    }
    last_ = answer.kind;
    call_->Read(&in_, &read_tag_);
  }

  void expect(bool as_it_should) {
    if (!as_it_should) die("an answer that cannot come here: " + in_words(in_));
  }

  void end() {
    complete_ = true;
    call_->Finish(&status_, &end_tag_);
    if (!writing_) write();
  }

  void ended(bool) {
    if (--to_end_ != 0) return;
    if (!status_.ok())
      die(fmt::format("a stream ended with status {}: {}", static_cast<int>(status_.error_code()),
                      status_.error_message()));
    gateway_.ended(*this, milliseconds(picked_ - asked_), milliseconds(Clock::now() - begun_));
  }

  // The status says why. Other operations of the stream may fail as well, before it is known.
  void fail() {
    if (failed_) return;
    failed_ = true;
    call_->Finish(&status_, &fail_tag_);
  }

  void failed(bool) {
    die(fmt::format("a stream broke off after {} messages, status {}: {}", sent_,
                    static_cast<int>(status_.error_code()), status_.error_message()));
  }

  Gateway& gateway_;
  uint64_t number_ = 0;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer in_;
  grpc::Status status_;
  Clock::time_point begun_, asked_, picked_;
  size_t sent_ = 0, may_send_ = 0;  // messages
  size_t received_bytes_ = 0;
  Answer::Kind last_ = Answer::kNone;
  bool writing_ = false;
  bool complete_ = false;  // all that is to be answered has been
  int to_end_ = 0;         // half-close and status
  bool failed_ = false;
  Tag<Stream> wrote_tag_{this, &Stream::wrote}, read_tag_{this, &Stream::read},
      end_tag_{this, &Stream::ended}, fail_tag_{this, &Stream::failed};
};

Gateway::Gateway(uint16_t port, uint32_t connections, uint32_t body_bytes) : messages_(body_bytes) {
  for (uint32_t i = 0; i < connections; ++i) connections_.push_back(connection(port));
}

Gateway::~Gateway() {
  streams_.clear();
  queue_.Shutdown();
  void* tag = nullptr;
  for (bool ok = false; queue_.Next(&tag, &ok);) {
  }
}

void Gateway::begin_one() {
  Stream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      streams_.push_back(std::make_unique<Stream>(*this));
      idle_.push_back(streams_.back().get());
    }
    stream = idle_.back();
    idle_.pop_back();
  }
  stream->begin(begun_++);
}

void Gateway::ended(Stream& stream, double pick_ms, double whole_ms) {
  timed_.pick_ms.push_back(pick_ms);
  timed_.whole_ms.push_back(whole_ms);
  ++ended_;
  if (more_ != 0) {
    --more_;
    return stream.begin(begun_++);
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(&stream);
}

void Gateway::next() {
  void* tag = nullptr;
  bool ok = false;
  const auto deadline = std::chrono::system_clock::now() + kPatience;
  if (queue_.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT)
    die(fmt::format("no answer for {} s", kPatience.count()));
  resume<Stream>(tag, ok);
}

void Gateway::begin(uint32_t count) {
  if (begun_ == ended_) since_ = Clock::now();
  for (uint32_t i = 0; i < count; ++i) begin_one();
}

void Gateway::release() {
  holding_ = false;
  for (Stream* stream : std::exchange(held_, {})) stream->respond();
}

void Gateway::run_for(std::chrono::milliseconds time) {
  const auto deadline = std::chrono::system_clock::now() + time;
  void* tag = nullptr;
  bool ok = false;
  while (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT)
    resume<Stream>(tag, ok);
}

Timed Gateway::finish() {
  while (ended_ != begun_) next();
  return take();
}

Timed Gateway::take() {
  timed_.seconds = milliseconds(Clock::now() - since_) / 1e3;
  return std::exchange(timed_, {});
}

Timed Gateway::closed_loop(uint32_t streams, uint32_t count) {
  more_ = count - std::min(streams, count);
  begin(std::min(streams, count));
  return finish();
}

Timed Gateway::open_loop(double rate, uint32_t count) {
  const uint64_t last = ended_ + count;
  since_ = Clock::now();
  std::thread starter([&] {
    for (uint32_t i = 0; i < count; ++i) {
      std::this_thread::sleep_until(since_ +
                                    std::chrono::nanoseconds(static_cast<int64_t>(i * 1e9 / rate)));
      begin_one();
    }
  });
  while (ended_ != last) next();
  starter.join();
  return take();
}

}  // namespace sluice::bench
