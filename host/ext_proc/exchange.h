// One HTTP request that a gateway asks about: the state machine of an ext_proc stream, without the
// stream.
//
// Fed with what comes (messages, decisions, silence, the gateway's end), it says what goes:
// messages in `outbox`, and once over() a status to end with. Nothing is lost whatever comes in
// whatever order: every request that was submitted ends, and a message that cannot come at its
// point ends the stream with words that say so. Body modes are those of the first message:
//
//   request   FULL_DUPLEX_STREAMED   held back until all of it has come and it is dispatched
//             BUFFERED               the same; its headers go at once, the pick comes with the body
//             STREAMED               picked by its headers alone, unless the gateway sends the body
//                                    unasked and it ends within kStreamedPeekMax
//             BUFFERED_PARTIAL       the same, with the first part of a body that is cut off
//             NONE                   picked by its headers alone
//             (no body, not POST)    picked at once, never parked
//   answer    passes as it comes; one message for each where the mode wants that
//
// Threads: one at a time, its stream's. Ownership: its stream holds it; the scheduler holds a
// waiter that does not.
#pragma once

#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <random>

#include "host/ext_proc/message.h"
#include "host/ext_proc/outbox.h"
#include "host/ext_proc/settings.h"
#include "host/transport/body_share.h"
#include "host/transport/request_context.h"

namespace sluice::ext_proc {

// What exchanges of one thread share; outlives them.
struct Surroundings {
  TransportServices services;
  std::atomic<uint64_t>& body_bytes;                // being read, by all threads
  std::shared_ptr<const ExtProcSettings> settings;  // of exchanges to come
  Classifier classifier;
  std::mt19937_64 random;
};

class Exchange {
 public:
  // MAKE_WAITER makes what brings decisions back to decide(), for a target model.
  using MakeWaiter = std::function<std::shared_ptr<Waiter>(std::string target)>;
  Exchange(Surroundings& surroundings, Peer peer, MakeWaiter make_waiter);

  // ---- what comes ----
  void receive(grpc::ByteBuffer& bytes);
  void decide(const Decision& decision);
  // The gateway has ended the stream or is gone.
  void closed();
  // Nothing has come for as long as patience_ns() allows.
  void silent();

  // ---- what goes ----
  Outbox outbox;
  bool over() const { return over_; }
  const grpc::Status& status() const { return status_; }  // once over
  // How long the gateway may be silent at this point; 0 = for ever.
  uint64_t patience_ns() const;
  // Whether more should be read: not while much waits to be sent.
  bool wants_more() const;

 private:
  using Kind = Incoming::Kind;
  enum class Request : uint8_t {
    kNone,     // nothing of it has come
    kReading,  // its headers have come; what else is to be looked at has not
    kWaiting,  // submitted
    kPicked,   // the gateway knows where it goes
    kGone,     // the gateway answered before that: it goes nowhere
  };
  enum class Answer : uint8_t {
    kNone,
    kBody,    // its headers have come
    kUnseen,  // and nothing else will be shown
    kEnded,
  };

  // ---- exchange.cc: its life, and what ends it ----
  void dispatch_message(Incoming& message);
  bool note_protocol(const pb::ProcessingRequest& message);
  void send(const google::protobuf::MessageLite& message) { outbox.push(encode(message)); }
  void send_chunks(bool of_request, Pieces body, bool end_of_stream);
  void send_trailers(bool of_request, const std::vector<std::string>& drops);
  void mark(pb::HeaderMutation& mutation) const;
  void refuse(const ErrorAnswer& error);
  void answer_own(const std::string& json);
  void answer_immediately(uint16_t status, std::vector<std::pair<std::string, std::string>> headers,
                          std::string body, const std::string& details);
  void revoke(const Decision& decision);
  void odd(Kind kind, const char* when);
  void end(grpc::Status status);
  void end_if_done();

  // ---- exchange_request.cc ----
  void on_request_headers(Incoming& message);
  void on_request_body(Incoming& message);
  void on_request_trailers(Incoming& message);
  void note_subset(const pb::ProcessingRequest& message);
  void note_drops(const std::vector<Header>& headers, std::vector<std::string>& drops) const;
  bool collect(Incoming& message);
  void whole();
  void submit_unseen();
  void serve_unparked();
  // The slots that the hint leaves; false if there is a hint and it leaves none: that was answered.
  bool find_allowed(std::optional<std::vector<uint32_t>>& only);
  void take_off(const Decision& decision);
  void answer_request(const std::vector<std::string>& picks, const Decision* decision);
  void fill_pick(pb::ProcessingResponse& response, pb::CommonResponse& common,
                 const std::string& picks, const Decision* decision);
  void send_body();
  void send_owed_chunks();
  bool full_duplex() const;
  bool buffered() const;
  bool picked() const { return request_ == Request::kPicked; }

  // ---- exchange_answer.cc ----
  void on_response_headers(Incoming& message);
  void on_response_body(Incoming& message);
  void on_response_trailers(Incoming& message);
  void note_served(const pb::ProcessingRequest& message);
  void note_details(const pb::ProcessingRequest& message);
  void pass_on(Pieces body, bool end_of_stream);
  void pass_one(Pieces body, bool end_of_stream);
  void answer_ended();
  bool answer_comes_in_one() const;

  Surroundings& here_;
  const std::shared_ptr<const ExtProcSettings> settings_;  // those of its beginning
  const Peer peer_;
  const MakeWaiter make_waiter_;
  const TimeNs began_ns_;
  RequestContext context_;
  BodyShare share_;

  bool first_ = true, observes_ = false, over_ = false;
  bool recorded_ = false;  // or nothing is to be
  grpc::Status status_;
  BodyMode request_mode_, answer_mode_;
  bool sends_unasked_ = false;  // bodies before the answer to headers

  Request request_ = Request::kNone;
  std::string method_, target_;
  std::unique_ptr<Incoming> head_;  // until it is submitted
  std::optional<std::vector<std::string>> subset_;
  std::vector<std::string> drops_, trailer_drops_;  // headers that the server must not see
  std::string body_;
  bool body_came_ = false, request_ended_ = false, trailers_came_ = false;
  uint32_t owed_chunks_ = 0;  // of a STREAMED body, unanswered
  TimeNs read_ns_ = 0;        // all of the request that is looked at had come
  uint32_t slot_ = kNone;     // where it was sent

  Answer answer_ = Answer::kNone;
  std::optional<UsageReader> usage_;
  // Who gave the answer, where the gateway says so: the endpoint, the gateway, or the gateway since
  // the endpoint failed.
  enum class By : uint8_t { kUnknown, kEndpoint, kGateway, kGatewayForEndpoint } by_ = By::kUnknown;
};

}  // namespace sluice::ext_proc
