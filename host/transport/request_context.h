// One request on its way through Sluice, whatever transport carries it: what it asks for, what was
// decided about it, what is told of it.
//
// A transport reads a request, then: refuse_head(); with a body admit() and submit(), and
// complete() or withdraw() whatever happens; at the very end write_record(). Each refusal comes as
// the answer to give, and is noted. Threads: one at a time, the transport's. Ownership: borrows
// SERVICES.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "host/pool/backends.h"
#include "host/request/classify.h"
#include "host/request/edit.h"
#include "host/request/errors.h"
#include "host/request/usage.h"
#include "host/scheduler/scheduler.h"
#include "host/transport/record.h"
#include "host/transport/settings.h"

namespace sluice {

struct TransportServices {
  Scheduler& scheduler;
  Backends& backends;
  RecordSink record;  // may be null
};

class RequestContext {
 public:
  RequestContext(const TransportServices& services,
                 std::shared_ptr<const TransportSettings> settings);
  // A request that is dropped on the way ends, too.
  ~RequestContext();
  RequestContext(const RequestContext&) = delete;

  // ---- what it is ----
  // The client's own x-request-id if it is fit to be passed on, else one that is made of RANDOM.
  void identify(Headers headers, std::mt19937_64& random);
  // Why a request with this head is refused without a look at its body.
  std::optional<ErrorAnswer> refuse_head(std::string_view method, std::string_view target,
                                         bool has_body);
  ErrorAnswer refuse(const Refusal& refusal);
  ErrorAnswer refuse(Outcome outcome, Reason reason = Reason::kNone);
  // A request without a body is never parked; there is nobody to send it to.
  ErrorAnswer refuse_unparked();
  // Reads BODY, which stays as it is, and says in edits() how it differs on its way; or why not.
  // ONLY: the slots that the request may use; nullopt = all.
  std::optional<ErrorAnswer> admit(Classifier& classifier, Api api, std::string& body,
                                   Headers headers, const Peer& peer,
                                   std::optional<std::vector<uint32_t>> only = std::nullopt);
  // The same for a body that nobody has seen: its headers alone say where it may go.
  void admit_unseen(Headers headers, const Peer& peer, uint64_t body_bytes,
                    std::optional<std::vector<uint32_t>> only);

  // ---- at the scheduler ----
  void submit(std::shared_ptr<Waiter> waiter);
  bool open() const { return id_.seq != 0; }  // it was submitted and has not ended
  bool draining() const { return services_.scheduler.draining(); }
  void dispatched(const Decision& decision);
  // The engine has ended it: what its client is told.
  ErrorAnswer ended(const Decision& decision);
  // It was taken back in flight, by DECISION.
  ErrorAnswer revoked(uint32_t retry_after_s);
  void requeue(Engine::Requeue why);
  // USAGE has read on; the scheduler is told of a stream's first event, and then now and then.
  void progress(const UsageReader& usage);
  void served_by(uint32_t slot);
  // Ends it in flight; once, then nothing.
  void complete(Outcome outcome);
  // Ends it wherever it is; what it ended as.
  Outcome withdraw(Outcome in_flight, Outcome parked);

  // ---- its answer ----
  // How an answer of CONTENT_TYPE is to be read.
  UsageReader::Options usage_options(std::string_view content_type);
  void note_usage(const UsageReader& usage);
  // Nothing of its body will be seen: that no events were counted says nothing.
  void answer_is_unseen() { answer_unseen_ = true; }
  // Nothing of it will be seen before its end: it cannot be told when it begins. Before submit().
  void answer_is_seen_late() { answer_seen_late_ = true; }

  // Every model that is configured or that endpoints list, each once.
  std::vector<std::string> models() const;
  // The answer to GET of /v1/models or /v1/models/NAME: a body, or why not. Nullopt: TARGET is
  // neither.
  struct OwnAnswer {
    std::string body;
    std::optional<ErrorAnswer> error;
  };
  std::optional<OwnAnswer> own_answer(std::string_view target);

  // Tells the sink what became of it.
  void write_record(std::string_view method, std::string_view target, TimeNs began_ns);

  const std::string& id() const { return request_id_; }
  const RequestFacts& facts() const { return facts_; }
  const Routed& routed() const { return routed_; }
  BodyEdits& edits() { return edits_; }

  RequestRecord record;  // its texts are filled in by write_record()
  std::string endpoint;  // name of the one that it was sent to last

 private:
  bool counts_events() const { return settings_->stream_usage != config::StreamUsage::kOff; }

  void narrow(std::optional<std::vector<uint32_t>> only);

  const TransportServices& services_;
  std::shared_ptr<const TransportSettings> settings_;  // those of its arrival
  std::string request_id_;
  RequestFacts facts_;
  Routed routed_;
  std::optional<std::vector<uint32_t>> only_;
  ClassId eligible_ = 0;
  BodyEdits edits_;
  bool usage_injected_ = false, answer_unseen_ = false, answer_seen_late_ = false;
  RequestId id_;  // 0 = never submitted, or ended
  TokenUsage usage_;
  uint32_t data_events_ = 0;
  uint32_t reported_events_ = 0;  // by progress()
};

}  // namespace sluice
