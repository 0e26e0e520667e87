// One request, from its head read to its answer's last byte written.
//
// Reads the body, classifies, submits, waits for the decision, forwards, reports the end. While it
// waits it is one object and a suspended coroutine: no thread, no parse buffers, the body once.
// Ends: exactly one end is told to the scheduler for every id it gave, whatever path leads out, and
// one record to the sink for every request. A client that leaves is noticed at once, parked or in
// flight. Threads: its worker's, but for Mailbox::on_decision. Ownership: held by its session; the
// scheduler holds a Mailbox.
#pragma once

#include <memory>
#include <string>

#include "host/http/client.h"
#include "host/http/message.h"
#include "host/http/reader.h"
#include "host/http/relay.h"
#include "host/http/worker.h"
#include "host/transport/request_context.h"

namespace sluice {

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // OWNER keeps CLIENT and WATCHDOG alive.
  Exchange(std::shared_ptr<Worker> worker, Client& client, Watchdog& watchdog,
           IncomingRequest request);

  // Reads the body, unless the head alone says that it would be in vain. kRefused: it has been
  // answered, and the connection is to be closed.
  Task<ReadResult> receive();
  // Serves the request. True if the client's connection can take another one.
  Task<bool> run(std::shared_ptr<void> owner);
  // Answers a request that could not be read.
  Task<void> refuse(const Refusal& refusal);
  // The client's connection is to be given up at once.
  void abandon();

 private:
  class Mailbox;
  enum class Attempt : uint8_t {
    kDone,         // answered
    kBroken,       // the upstream failed before its first byte
    kUnreachable,  // connecting took too long
    kTimedOut,     // it was silent for too long before its first byte
    kGarbled,      // what it sent is no answer
    kRejected,     // it answered 429 or 503
    kCut,          // it failed after its first byte
    kClientLost,   // the client could not be written to
  };
  // One way to an upstream and back.
  struct Flight {
    uint32_t slot = kNone;
    std::shared_ptr<const EndpointAddress> address;
    std::unique_ptr<UpstreamConnection> connection;
    std::optional<AnswerParser> parser;
    bool sent_whole = false;  // the request
    bool kept = false;        // the connection has served before
  };

  void take_decision(const Decision& decision);
  void client_left();
  bool interrupted() const { return client_gone_ || revoked_; }

  Task<void> refuse(const ErrorAnswer& error);  // and closes
  Task<bool> serve();
  Task<bool> serve_unparked();
  Task<bool> serve_inference(Api api);
  Task<bool> follow_decisions();
  Task<void> next_event();
  Task<bool> answer_end(const Decision& decision);
  Task<bool> answer_revoked();
  Task<bool> answer_failure(Attempt attempt);

  // ---- exchange_upstream.cc ----
  Task<Attempt> forward(uint32_t slot);
  Task<Attempt> fly(Flight& flight);
  Task<HeadResult> ask(Flight& flight, bool& unreachable);
  Task<Attempt> relay(Flight& flight);

  // ---- exchange.cc ----
  Task<bool> answer(const ErrorAnswer& error, bool with_endpoint = false);
  Task<bool> answer_json(const std::string& body);
  // KEEP: TEXT says that the connection stays open. True if it does.
  Task<bool> write_answer(const std::string& text, uint16_t status, bool keep);
  void write_record();
  AnswerMarks marks(bool with_endpoint) const;
  AnswerFraming framing() const;

  std::shared_ptr<Worker> worker_;
  std::shared_ptr<const HttpSettings> settings_;  // those of its arrival
  Client& client_;
  Watchdog& watchdog_;
  IncomingRequest request_;
  RequestContext context_;
  std::string head_;  // what goes upstream

  std::vector<Decision> inbox_;
  Timer wake_;
  Socket* upstream_ = nullptr;  // in use right now
  bool client_gone_ = false, revoked_ = false;
  uint32_t revoked_retry_after_s_ = 0;
  bool sent_ = false;  // the client was sent something of the answer
  uint32_t retries_ = 0;

  TimeNs read_ns_ = 0;  // the whole request had come
};

}  // namespace sluice
