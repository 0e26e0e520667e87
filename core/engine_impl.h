// The inside of the engine, shared by the files that implement it:
//   engine.cc          what drivers call: requests, time
//   endpoint_calls.cc  what they tell of endpoints and classes
//   logging.cc         the decision log
//   ending.cc          how requests end, what they cost and are charged
//   queueing.cc        parking, flows and their heads, events to policies
//   dispatch.cc        which request goes next, and where
//   holding.cc         heads that are kept back although there is room
//   admission.cc       limits and displacement
//   reconfigure.cc     from one pipeline to another
//   audit.cc           recounts, statistics
// Each member function says what it leaves to its caller; none calls dispatch_all except where its
// comment says so.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "core/band.h"
#include "core/deadlines.h"
#include "core/decision_log.h"
#include "core/endpoint_table.h"
#include "core/engine.h"
#include "core/estimates.h"
#include "core/limits.h"
#include "core/picker.h"
#include "core/prefix_index.h"
#include "core/request_rows.h"
#include "core/slab.h"

namespace sluice {

struct Engine::Impl {
  Impl(Pipeline first, uint64_t seed_value, TimeNs now);

  // ---- engine.cc ----
  void enter(TimeNs now);  // start of a call: time moves on, what has expired ends
  void end_prompts();      // those that have gone on for too long
  void leave();            // end of a call: dispatches, and tells the log
  Request* find(RequestId id);
  // Of the slots that S alone may use, those in its class, none if none of them is up; nothing if
  // it may use all of its class.
  std::optional<std::vector<uint32_t>> allowed_of(const Submission& s);
  static void exclude(Request& r, uint32_t endpoint);
  void pool_may_have_flipped();

  // ---- ending.cc ----
  void expire();
  void end_in_flight(Request* r, const Completion& completion);
  uint64_t settle(Request* r, const Completion& completion);
  void end_parked(Request* r, Outcome outcome, Reason reason, bool tell);
  void refuse(RequestId id, Band& band, Outcome outcome, Reason reason, uint64_t bytes);
  uint32_t retry_after(Band& band);
  void estimate(Request& r);  // its tokens, from what its model's earlier requests did
  // R, as it is charged and reserved now, is one more in flight or one less.
  static void in_flight_changes(Ledger& l, const Request& r, int by);
  uint64_t cost_of(uint32_t prompt, uint32_t cached, uint32_t output) const;
  // The same of R, which is in flight, if its output is OUTPUT.
  uint64_t cost_with(const Request& r, uint32_t output) const;

  // ---- queueing.cc ----
  Flow* flow_for(Band& band, const Submission& s);
  Flow* overflow_of(Band& band);
  void set_tenant(Band& band, Flow* flow, uint32_t tenant);
  void forget_idle_flows(Band& band);
  void forget(Band& band, Flow* flow);
  void park(Request* r);    // into its flow, the deadlines and the ledger
  void unpark(Request* r);  // out of them
  void head_changed(Band& band, Flow* flow, const Request* old_head);
  void mark_blocked(Band& band, Flow* flow);
  void unblock(Band& band, Flow* flow);
  void unlink_blocked(Flow* flow);
  void room_changed(uint32_t cls, bool has_room);
  uint32_t class_of(const Request& r);  // its own, without the endpoints that broke under it
  void use_class(Request* r, uint32_t cls);
  void may_be_idle(Band& band, Flow* flow);
  uint64_t key_of(Band& band, const Request& r);
  static constexpr uint64_t kNow = UINT64_MAX;  // the epoch of what charges nobody
  void tell(Band& band, sluice_event event, uint64_t band_epoch = kNow, uint64_t pool_epoch = kNow);
  void tell_flow(Band& band, uint32_t type, const Flow& flow);
  void tell_request(Band& band, uint32_t type, const Request& r, int64_t change, uint16_t outcome,
                    uint32_t output_before);
  void flush(Band& band);  // lets the band's policies hear what happened
  void observe(Band& band, PolicySlot& slot, const sluice_events& events);
  void flush_scorers();
  void refresh_event_mask(Band& band);
  sluice_band band_view(Band& band);

  // ---- dispatch.cc ----
  void dispatch_all();
  void dispatch_band(Band& band);
  uint32_t pick_flow(Band& band);
  bool at_ceiling(const Band& band) const;
  void pass(Band& band, uint64_t* counter);
  // Where R goes; or that it is kept back, and why.
  struct Choice {
    uint32_t endpoint = kNone;
    uint32_t cached_tokens = 0;
    Flow::Held held = Flow::Held::kNo;
    uint32_t earmark = kNone;
  };
  Choice choose_endpoint(Band& band, Request* r);
  void find_cached(const Request& r, const EndpointSet& members);
  void dispatch(Band& band, Request* r, const Choice& to);
  void rank(const EndpointSet& members, uint32_t first, uint32_t chosen);
  void score(Band& band, Request* r);
  void ask_scorers(Band& band, Request* r);
  void add_least_in_flight(float weight);

  // ---- holding.cc ----
  // Keeps back the head of a flow that is waiting in a class with room.
  void hold(Band& band, Flow* flow, Flow::Held why, uint32_t earmark);
  void unhold(Band& band, Flow* flow);
  void unhold_all();
  // Before BAND picks: lets go what it may have of lower bands, and dispatches or lets go what of
  // its own can be.
  void serve_held(Band& band);
  bool serve_held(Band& band, Flow* flow);
  bool wanted_by(const Band& band, uint32_t endpoint);
  bool fits_held_of(const Band& band, uint32_t endpoint);
  bool fits_anywhere(const Request& r);
  bool keeps_for(const Flow& flow);
  bool may_go(const Flow& flow);

  // ---- admission.cc ----
  void enforce_limits(Request* newcomer);
  bool make_room(Request* newcomer);

  // ---- reconfigure.cc ----
  struct NextSlot;
  struct NextPolicies;
  Result<void> reconfigure(Pipeline next);
  Result<NextPolicies> open_policies(const Pipeline& next);
  void remember_generation(const Pipeline& next);
  void retarget_tenants(const std::vector<TenantConfig>& before);
  void install(NextPolicies next);
  void introduce(Band& band, PolicySlot& slot);
  void rekey(Band& band);
  void move_requests(uint32_t kept);
  static uint32_t flow_slots(const Pipeline& p);  // the overflow flow's included

  // ---- the decision log ----
  void log_endpoint(uint32_t slot);
  void log_classes();
  void log_request(LogRecord::Kind kind, const Request& r);
  void log(LogRecord record);

  Band& band_of(const Flow& flow) { return *bands[flow.band]; }
  Band& band_of(const Request& r) { return *bands[r.flow->band]; }
  template <typename F>
  void count(Band& band, F&& f) {
    f(band.ledger);
    f(total);
  }

  Pipeline pipeline;
  uint64_t seed;
  TimeNs now_ns;
  Random random;
  uint64_t next_seq = 1;
  uint64_t epoch = 0;  // number of the pipeline in force
  bool draining = false, drained = false;
  std::vector<std::unique_ptr<Band>> bands;  // by rank
  uint32_t next_log_id = 0;
  struct Generation {  // how to read band and tenant numbers of a pipeline that was replaced
    uint64_t number = 0;
    std::vector<uint32_t> bands, tenants;
  };
  std::vector<Generation> generations;
  Slab<Request> requests;
  EndpointTable endpoints;
  PoolClocks clocks;
  Deadlines deadlines;
  struct Prompt {
    TimeNs until = 0;
    RequestId id;
    uint32_t attempt = 0;
  };
  std::deque<Prompt> prompts;           // in progress at endpoints that limit them, oldest first
  std::vector<uint64_t> tenant_parked;  // by index into pipeline.tenants
  Ledger total;
  uint64_t passes_hold = 0, passes_idle = 0, passes_ceiling = 0;
  uint64_t holds_size = 0, holds_better = 0;
  Estimates estimates;
  std::vector<Flow*> held;       // at most one for its size an endpoint, and kBetterHeldMax
  uint32_t held_for_better = 0;  // of them
  uint64_t held_seen = 0;        // the endpoints' version when they were looked at last
  TimeNs held_until = kNever;    // the first that stops waiting for a better endpoint
  std::vector<Decision> decisions;

  struct Scorer {
    PolicySlot slot;
    float weight = 1;
  };
  std::vector<Scorer> scorers;
  uint64_t scorer_event_mask = 0;
  std::vector<ToldEvent> scorer_events;
  bool wants_prefix = false;
  PrefixIndex prefixes;

  DecisionLog* decision_log = nullptr;
  bool log_dirty = false;

  // Scratch, kept to allocate nothing in steady state.
  RequestRows rows, newcomer_row;
  std::vector<Request*> victims, shown;
  std::vector<uint64_t> keys;
  std::vector<sluice_event> event_scratch;
  // The endpoints that a request may go to, a column a fact.
  struct Shortlist {
    using Column = std::array<uint32_t, kEndpointsMax>;
    uint32_t size = 0, most_cached = 0;
    Column slots, rows, cached;
    std::array<float, kEndpointsMax> scores, sums;

    Candidates candidates(std::span<const uint32_t> in_flight) const {
      return {{slots.data(), size}, {sums.data(), size}, in_flight};
    }
  };
  Shortlist shortlist;
  std::vector<Ranked> ranked;  // of the endpoint that was chosen last, where the pipeline ranks
  Shortlist::Column blocks_of_slot;
};

}  // namespace sluice
