// Feeds sequences of messages, decisions, silence and endings into the ext_proc state machine, over
// a real engine: libFuzzer chooses, and after each run every request must have ended and the books
// must balance.
//
// The input is a program: each byte an action on one of four streams, with operands from the bytes
// behind it. What comes out must be messages in an order that a gateway takes.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/ext_proc/rig.h"

namespace sluice::ext_proc {
namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool over() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::string text() {
    const size_t size = std::min<size_t>(byte(), left_);
    std::string out(reinterpret_cast<const char*>(data_), size);
    data_ += size;
    left_ -= size;
    return out;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

HeaderList headers_of(Input& in) {
  static const std::string kNames[] = {":method",
                                       ":path",
                                       ":status",
                                       "content-type",
                                       "content-length",
                                       "x-request-id",
                                       "accept-encoding",
                                       "x-llm-d-inference-objective",
                                       "x-gateway-destination-endpoint",
                                       "x-sluice-reason"};
  static const std::string kValues[] = {"POST",
                                        "GET",
                                        "/v1/chat/completions",
                                        "/v1/models",
                                        "/v1/models/m",
                                        "/x",
                                        "200",
                                        "503",
                                        "application/json",
                                        "text/event-stream",
                                        "7",
                                        "99999999999"};
  HeaderList headers;
  for (int n = in.byte() % 8; n > 0; --n) {
    const uint8_t name = in.byte(), value = in.byte();
    headers.emplace_back(name < 200 ? kNames[name % std::size(kNames)] : in.text(),
                         value < 200 ? kValues[value % std::size(kValues)] : in.text());
  }
  return headers;
}

std::string body_of(Input& in) {
  const uint8_t which = in.byte();
  if (which < 80) return kBody;
  if (which < 120) return kAnswer;
  if (which < 140) return "data: {\"model\":\"m\",\"choices\":[{}]}\n\n";
  if (which < 150) return std::string(70'000, 'x');
  return in.text();
}

pb::ProcessingRequest message_of(Input& in) {
  pb::ProcessingRequest message;
  const uint8_t kind = in.byte();
  switch (kind % 8) {
    case 0:
      message = post(headers_of(in));
      break;
    case 1:
      message = request_headers(headers_of(in), (in.byte() & 1) != 0);
      break;
    case 2:
      message = request_body(body_of(in), (in.byte() & 1) != 0);
      break;
    case 3:
      message = request_trailers(headers_of(in));
      break;
    case 4:
      message = response_headers(headers_of(in), (in.byte() & 1) != 0);
      break;
    case 5:
      message = response_body(body_of(in), (in.byte() & 1) != 0);
      break;
    case 6:
      message = response_trailers(headers_of(in));
      break;
    default:
      break;
  }
  if (kind & 16)
    message = with_modes(message, static_cast<BodyMode>(in.byte() % 7),
                         static_cast<BodyMode>(in.byte() % 7));
  if (kind & 32) message = with_subset(message, {in.byte() & 1 ? "10.0.0.2" : in.text()});
  if (kind & 64)
    message.mutable_protocol_config()->set_send_body_without_waiting_for_header_response(true);
  return message;
}

// What a gateway takes in one direction: headers, then bodies, then trailers, each at most once but
// for bodies, and nothing behind an immediate answer.
class Order {
 public:
  void take(const std::vector<pb::ProcessingResponse>& responses) {
    for (const pb::ProcessingResponse& r : responses) {
      must(!immediate_, "something is said behind an immediate answer");
      switch (r.response_case()) {
        case pb::ProcessingResponse::kRequestHeaders:
          must(request_ == 0, "request_headers are answered late or twice");
          request_ = 1;
          break;
        case pb::ProcessingResponse::kRequestBody:
          must(request_ <= 1, "a request's body is answered late");
          break;
        case pb::ProcessingResponse::kRequestTrailers:
          must(request_ <= 1, "request_trailers are answered twice");
          request_ = 2;
          break;
        case pb::ProcessingResponse::kResponseHeaders:
          must(answer_ == 0, "response_headers are answered late or twice");
          answer_ = 1;
          break;
        case pb::ProcessingResponse::kResponseBody:
          must(answer_ == 1, "an answer's body goes before its headers or behind its end");
          break;
        case pb::ProcessingResponse::kResponseTrailers:
          must(answer_ == 1, "response_trailers are answered early or twice");
          answer_ = 2;
          break;
        case pb::ProcessingResponse::kImmediateResponse:
          immediate_ = true;
          break;
        case pb::ProcessingResponse::RESPONSE_NOT_SET:
          must(false, "an empty message is sent");
      }
    }
  }

 private:
  int request_ = 0, answer_ = 0;
  bool immediate_ = false;
};

void run(Input in) {
  constexpr size_t kStreams = 4;
  Rig rig({1, 1});
  rig.settings.max_body = 100'000;
  rig.settings.body_bytes_max = 150'000;
  struct One {
    std::unique_ptr<Rig::Stream> stream;
    Order order;
  };
  std::vector<One> all;
  for (size_t i = 0; i < kStreams; ++i) all.push_back({rig.open(), {}});
  for (int steps = 0; steps < 64 && !in.over(); ++steps) {
    const uint8_t action = in.byte();
    One& one = all[action % kStreams];
    switch (action / kStreams % 16) {
      case 0:
        one.stream->exchange().closed();
        break;
      case 1:
        if (one.stream->exchange().patience_ns() != 0) one.stream->exchange().silent();
        break;
      case 2:
        one.stream->send_bytes(in.text());
        break;
      case 3:
        one = {rig.open(), {}};
        break;
      case 4:
        if (in.byte() == 0)
          rig.scheduler->with_engine([](Engine& engine, TimeNs now) { engine.drain_now(now); });
        break;
      default:
        one.stream->send(message_of(in));
    }
    for (One& each : all) {
      each.stream->deliver();
      each.order.take(each.stream->take());
    }
    const auto wrong = rig.audit();
    must(!wrong, wrong ? wrong->c_str() : "");
  }
  for (One& each : all) {
    each.stream->exchange().closed();
    each.order.take(each.stream->take());
    must(each.stream->exchange().over(), "a stream that is closed is not over");
  }
  const Ledger total = rig.stats().total;
  must(total.parked + total.in_flight == 0, "a request is left");
  must(rig.body_bytes == 0, "bytes of a body are left");
}

}  // namespace
}  // namespace sluice::ext_proc

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // bytes that are no UTF-8 are said each time
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::ext_proc::run({data, size});
  return 0;
}
