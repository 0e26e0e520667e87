// The way back: reads an upstream's answer and passes it to the client as it comes.
//
// One chunk read is one write: events reach the client at once, and a client that reads slowly
// slows the upstream down rather than fill memory. The usage reader goes over every byte. Threads:
// its executor's. Ownership: borrows all it is given for the length of the call.
#pragma once

#include <functional>
#include <optional>

#include "host/http/client.h"
#include "host/http/message.h"
#include "host/http/upstream.h"
#include "host/http/watchdog.h"
#include "host/request/usage.h"

namespace sluice {

enum class HeadResult : uint8_t {
  kOk,
  kNothing,  // closed, reset or never connected: not one byte came
  kBroken,   // something came, but no sound head
  kTimedOut,
};

// Reads the head of an answer into PARSER; interim answers are passed over.
Task<HeadResult> read_answer_head(UpstreamConnection& connection,
                                  std::optional<AnswerParser>& parser, bool to_head,
                                  Watchdog& watchdog, uint64_t idle_timeout_ns);

enum class RelayResult : uint8_t {
  kDone,
  kClientLost,      // could not write to it
  kUpstreamBroken,  // the answer ended before its end; the client's connection must be cut
  kTimedOut,        // the same, for silence
};

// What a relay works with.
struct RelayContext {
  Client& client;
  UpstreamConnection& connection;
  AnswerParser& parser;
  Watchdog& watchdog;
  UsageReader& usage;
  AnswerMarks marks;
  bool client_is_1_1 = true;
  bool keep_alive = true;  // the client's connection may serve another request
  bool to_head = false;    // answers HEAD: no body follows
  bool is_stream = false;  // server-sent events: its head goes ahead of the first event
  uint64_t idle_timeout_ns = 0;
  std::function<void()> progress;  // there may have been more output events
  // The whole answer has been read, its last bytes are still to be written. True: the connection
  // can serve again. The relay does not touch it any more.
  std::function<void(bool)> upstream_done;
  bool& sent;  // set once the client is being sent something
};

class Relay {
 public:
  explicit Relay(RelayContext context);
  Task<RelayResult> run();

  TimeNs first_byte_ns() const {
    return first_byte_ns_;
  }  // when the client was sent something first; 0 = never
  uint64_t bytes_out() const { return bytes_out_; }  // of the body
  bool keeps_client() const { return framing_.keep_alive; }

 private:
  bool parse();
  void choose_framing();
  Task<ErrorCode> write();

  RelayContext c_;
  AnswerFraming framing_;
  std::string head_;            // until it is written
  std::string payload_, text_;  // what to write next; kept for their memory
  bool done_ = false, head_written_ = false;
  TimeNs first_byte_ns_ = 0;
  uint64_t bytes_out_ = 0;
};

}  // namespace sluice
