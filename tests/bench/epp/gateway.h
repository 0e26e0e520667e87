// The gateway of the ext_proc benchmarks: it plays Envoy's part on many streams at once, and takes
// the time of each.
//
// A stream is one request: headers and body, the pick and the body back, then the response's
// headers and body, each answered, half-close, status. A stream that goes any other way ends the
// program: nothing else is worth timing. It costs little: messages are made once, and no byte of an
// answer's body is looked at, only counted.
// Threads: the caller's, which waits on one completion queue; open_loop() has one more, which
// begins streams on time. Ownership: owns its connections and streams; none is under way when it
// goes. Units: milliseconds.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/bench/epp/messages.h"

namespace sluice::bench {

struct Timed {
  double seconds = 0;
  std::vector<double> pick_ms;   // from the last chunk of the body to the answer to the headers
  std::vector<double> whole_ms;  // from the first message to the status
};

class Gateway {
 public:
  using Clock = std::chrono::steady_clock;

  // Every connection is a TCP connection of its own.
  Gateway(uint16_t port, uint32_t connections, uint32_t body_bytes);
  ~Gateway();

  // STREAMS are kept under way until COUNT have ended.
  Timed closed_loop(uint32_t streams, uint32_t count);
  // One stream every 1 / RATE seconds, whatever the answers do, COUNT of them.
  Timed open_loop(double rate, uint32_t count);

  // By hand: COUNT streams more, which from hold() to release() stop once their request has been
  // picked. run_for() is what keeps them going.
  void begin(uint32_t count);
  void hold() { holding_ = true; }
  void release();
  void run_for(std::chrono::milliseconds time);
  size_t held() const { return held_.size(); }
  // Waits until all have ended; the times of all since the last Timed.
  Timed finish();

 private:
  class Stream;

  void begin_one();
  void ended(Stream& stream, double pick_ms, double whole_ms);
  void next();  // one event
  Timed take();

  const Messages messages_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> connections_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::mutex mutex_;  // guards idle_, which two threads use in open_loop()
  std::vector<Stream*> idle_;
  std::vector<Stream*> held_;
  bool holding_ = false;
  uint64_t begun_ = 0, ended_ = 0;
  uint64_t more_ = 0;  // to be begun as others end
  Clock::time_point since_;
  Timed timed_;
};

}  // namespace sluice::bench
