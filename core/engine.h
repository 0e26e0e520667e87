// The engine: parks requests, decides which goes next and where, and keeps the ledger.
//
// One object, one thread at a time, deterministic: time and randomness are arguments, and the same
// calls give the same decisions. It does no I/O, starts no thread, reads no clock, and calls
// nothing but the policies of its pipeline. The driver (the host with sockets, a simulator with
// virtual time) calls in, then acts on decisions().
//
// Threads: none of its own; calls must not overlap.
// Time: `now` must not run backwards; a smaller one counts as the last one. Every call first ends
// what has expired. Complexity: submit, cancel, complete and requeue are O(log n) in parked
// requests and flows; a dispatch adds
//   endpoints x scorers. Nothing is proportional to parked requests, idle flows or past tenants.
// Invariants, at the end of every call:
//   1. submitted = parked + in flight + ended, for requests and bytes, per band and in all.
//   2. No id ends twice, nothing ended is dispatched, nothing is dispatched after a deadline.
//   3. No admissible pair of request and endpoint is left: a parked request whose class has room
//   waits only behind `hold_when_blocked`, a fairness policy that may idle, a band's ceiling, an
//   endpoint that is being emptied for a large request, or a better endpoint; each is counted.
//   4. A request was dispatched only while nothing in a higher band could have been.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/pipeline.h"
#include "core/result.h"
#include "core/stats.h"
#include "core/types.h"

namespace sluice {

class DecisionLog;

class Engine {
 public:
  // Fails if a policy of PIPELINE cannot make its state. SEED feeds pickers, Retry-After jitter and
  // policies.
  static Result<std::unique_ptr<Engine>> create(Pipeline pipeline, uint64_t seed, TimeNs now);
  ~Engine();

  // ---- requests ----
  // Parks a request, and dispatches or ends it at once where that is due. Never fails: a refusal is
  // a decision.
  RequestId submit(TimeNs now, const Submission& submission);
  enum class Cancel : uint8_t { kEnded, kInFlight, kUnknown };
  // The client left. A parked request ends as kCancelled, without a decision. For one in flight the
  // driver closes upstream and then says complete(kClientGone).
  Cancel cancel(TimeNs now, RequestId id);
  // Events with output that a stream in flight has sent so far. What they are more than was
  // estimated is charged, and taken of its endpoint's room.
  void progress(TimeNs now, RequestId id, uint32_t output_events);
  // A request in flight is over. Returns false for an id that is not in flight.
  bool complete(TimeNs now, RequestId id, const Completion& completion);
  enum class Requeue : uint8_t {
    kBroken,    // the endpoint broke before its first byte: it is kept from this request
    kRejected,  // the engine itself answered 429 or 503: the endpoint is left alone for a moment
  };
  // Parks a request in flight again: same sequence, same deadlines, its charge returned. May end it
  // at once as expired.
  bool requeue(TimeNs now, RequestId id, Requeue why);

  // The request in flight is at another endpoint than it was dispatched to, one that it was given
  // to fall back on: its reservation moves there, with room or without. False if either is unknown.
  bool served_by(TimeNs now, RequestId id, uint32_t slot);

  // ---- endpoints; slots 0 .. kEndpointsMax-1 are the driver's to give ----
  // New or changed; what was learnt of it stays. Not UP: no room, does not count as existing.
  void set_endpoint(TimeNs now, uint32_t slot, const EndpointLimits& limits, bool up);
  // No room from now on; the slot may be given to another endpoint once endpoint_idle(slot).
  void remove_endpoint(TimeNs now, uint32_t slot);
  bool endpoint_idle(uint32_t slot) const;
  // A report is being asked for: the next one is compared with what is in flight from here on.
  void report_asked(TimeNs now, uint32_t slot);
  // What the endpoint said of its load. A report with taken_ns = 0 withdraws the one before:
  // policies then see an age of SLUICE_NEVER and no load, while the declared columns are as the
  // report has them. One that is told again teaches nothing more.
  void report(TimeNs now, uint32_t slot, const EndpointReport& report);
  // Defines the class ID as these endpoint slots, up or not. Parked requests follow.
  void set_class(TimeNs now, ClassId id, const std::vector<uint32_t>& members);
  // The class that a request (of the class CURRENT until now) belongs to; nullopt: nobody will ever
  // serve it.
  using ClassOf = std::function<std::optional<ClassId>(RequestId, ClassId current)>;
  // Asks CLASS_OF about every request. A parked one moves, or ends as kRejectedUnknownModel; one in
  // flight does so if it is requeued. O(requests): for when the classes themselves have changed.
  void reclassify(TimeNs now, const ClassOf& class_of);

  // ---- time and life ----
  void advance(TimeNs now);
  // When advance() is due; kNever if nothing is pending.
  TimeNs next_deadline() const;
  // Every submission from now on is refused as draining; what is parked is still dispatched.
  void drain(TimeNs now);
  bool draining() const;
  // Ends all that is parked as kDrained and revokes all that is in flight.
  void drain_now(TimeNs now);
  // Another pipeline; see docs/ARCHITECTURE.md for what parked requests keep. On failure nothing
  // has changed.
  Result<void> reconfigure(TimeNs now, Pipeline pipeline);
  // Lets a policy out of quarantine. False if no slot runs a policy of that name in quarantine.
  bool release_policy(TimeNs now, const std::string& name);

  // ---- outputs ----
  // What was decided since it was last emptied; the driver acts on it and clears it.
  std::vector<Decision>& decisions();
  const Pipeline& pipeline() const;
  Stats stats() const;  // counters, bands, endpoints, policies; O(flows + endpoints)
  std::vector<FlowStats> flow_stats() const;  // O(flows)
  // Where every step is written from now on; null = nowhere. Borrowed.
  void set_log(TimeNs now, DecisionLog* log);
  // Recounts everything and compares with the ledger; the first difference in words, or nothing.
  // O(everything).
  std::optional<std::string> audit() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
