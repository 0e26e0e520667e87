// A second, plain account of what an engine was told and decided, and the promises that follow.
//
// It knows the calls and the decisions alone and shares nothing with the engine but its types. Its
// world says what it is about to tell the engine (begin and the facts), hands over each decision
// (decided), and has it compare itself with the engine's own figures (compare, O(requests)).
// What is promised: deadlines to the nanosecond; a dispatch only to an endpoint that is up, has
// room, is of the class and the subset, is not left alone and did not break under the request; the
// order of arrival in flows that no policy orders; limits; one end for each request, and nothing
// after it; exact waiting times; each charge settled to the true cost, or returned.
// Bands, flows, tenants and slots have fixed small numbers here: indices into the names below.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/engine.h"
#include "tests/sim/policies.h"

namespace sluice::sim {

inline constexpr uint32_t kBands = 4, kFlows = 8, kTenants = 2, kSlots = 7, kClasses = 5;
inline constexpr std::array<const char*, kBands> kBandNames = {"critical", "default", "sheddable",
                                                               "bulk"};
inline constexpr std::array<int32_t, kBands> kPriorities = {100, 0, -10, -50};
inline constexpr std::array<const char*, kTenants> kTenantNames = {"acme", "zeta"};

template <size_t n>
uint32_t index_of(const std::array<const char*, n>& names, const std::string& name) {
  const auto it = std::ranges::find(names, name);
  return it == names.end() ? kNone : static_cast<uint32_t>(it - names.begin());
}
constexpr uint32_t bit(uint32_t slot) { return uint32_t{1} << slot; }

class Oracle {
 public:
  struct Options {
    TimeNs now = 0;
    bool overflow = false;  // flows may share the overflow flow: nothing is known of theirs
    bool forgets = false;  // flows may be forgotten, or move: what they were served is not compared
    bool guesses = false;  // costs and sizes are the engine's own guesses
    const Bookkeeper* books = nullptr;  // borrowed; null = charges are not compared
  };
  explicit Oracle(const Options& options) : options_(options), now_(options.now) {}

  // A call starts at NOW, which may be in the past.
  void begin(TimeNs now);
  TimeNs now() const { return now_; }

  // ---- what the engine was told; before its decisions are handed over ----
  void submitted(RequestId id, const Submission& submission, uint32_t flow);
  void cancelled(RequestId id, Engine::Cancel said);
  void progressed(RequestId id, uint32_t output_events);
  void completed(RequestId id, bool said, const Completion& completion);
  void requeued(RequestId id, bool said, Engine::Requeue why);
  void served_by(RequestId id, bool said, uint32_t slot);
  void endpoint_set(uint32_t slot, const EndpointLimits& limits, bool up);
  void endpoint_removed(uint32_t slot);
  void class_set(ClassId id, const std::vector<uint32_t>& members);
  // Within reclassify: ID, so far of class CURRENT, is of class NEXT from now on.
  void reclassifies() { reclassifies_ = true; }
  void reclassified(RequestId id, ClassId current, std::optional<ClassId> next);
  void reported(uint32_t slot, const EndpointReport& report);
  void reconfigured(const Pipeline& pipeline);
  void policy_released(const std::string& name);
  void drained(bool at_once);

  // ---- what it did ----
  void decided(const Decision& decision);
  void settled(const Engine& engine);  // the call is over
  // oracle_compare.cc
  void compare(const Engine& engine);  // everything
  void over(const Engine& engine);     // everything has ended

  const std::optional<std::string>& wrong() const { return wrong_; }  // the first difference
  uint64_t requests() const { return requests_.size(); }
  uint64_t parked() const { return parked_; }
  const std::vector<RequestId>& in_flight() const { return in_flight_; }
  bool down(uint32_t slot) const { return !slots_[slot].up; }
  bool idle(uint32_t slot) const { return slots_[slot].in_flight == 0; }
  bool drained() const { return drained_; }

 private:
  struct Request {
    enum class State : uint8_t { kRefused, kParked, kInFlight, kOver } state = State::kParked;
    RequestId id;
    uint32_t band = 0, flow = 0;
    ClassId cls = 0;               // kNone: nobody will ever serve it
    std::optional<uint32_t> only;  // a bit for each slot
    uint32_t broken = 0;           // the same: endpoints that broke under it
    TimeNs serving_deadline = kNever, empty_deadline = kNever, wall_deadline = kNever;
    TimeNs parked_since = 0, parked_before = 0;
    uint64_t bytes = 0;
    uint64_t prompt = 0, size = 0, reserved = 0;  // tokens
    // Of its prompt, which nobody can have cached, until its answer begins; 0 where that is not sure.
    uint64_t fresh = 0, prefilling = 0;
    TimeNs prefills_until = kNever;
    uint32_t endpoint = kNone, attempt = 0;
    uint32_t place = 0;  // in in_flight_
    bool revoked = false;
  };
  struct Slot {
    bool exists = false, up = false;
    EndpointLimits limits;
    uint32_t in_flight = 0;
    uint64_t tokens = 0, prefilling = 0;
    TimeNs paused_until = 0, pause = 0;
    uint32_t limit_seen = 0;    // the engine's own, at the last comparison
    bool may_not_fall = false;  // that limit: nothing that lowers it was said in this call
  };
  struct Band {
    bool in_use = false;
    BandConfig config;
    uint64_t parked = 0, bytes = 0, in_flight = 0;
    uint64_t parked_before = 0, bytes_before = 0;  // when the call began
    std::array<std::set<uint64_t>, kFlows> flows;  // what is parked
    std::array<uint32_t, kFlows> tenants;          // of each flow; kNone = none
    Band() { tenants.fill(kNone); }
  };
  struct Generation {
    uint64_t number = 0;
    std::vector<uint32_t> bands, tenants;
  };

  template <typename... Words>
  void fail(const Words&... words);
  Request* find(RequestId id);
  bool live(const Request* r) const { return r != nullptr && r->state != Request::State::kOver; }
  void park(Request& r);
  void unpark(Request& r);
  void land(Request& r, uint32_t endpoint);
  void take_off(Request& r);
  void end_prompts();
  void end(Request& r, Outcome outcome);
  void use_band(Request& r, uint32_t band);
  TimeNs due(const Request& r) const;
  bool any_up() const { return up_ != 0; }
  uint64_t parked_of_tenant(uint32_t tenant) const;
  void dispatched(Request& r, const Decision& d);
  void ended(Request& r, const Decision& d);
  void refused(Request& r, const Decision& d);
  void check_place(const Request& r, const Decision& d);
  void check_ceiling(const Request& r);
  void check_full(const Request& r, Reason reason);
  void check_newcomer();
  void check_final_charge(const Request& r, const Completion& c);
  bool left_alone(uint32_t slot) const { return slots_[slot].paused_until > now_; }
  void rejected(uint32_t slot);
  void move_bands(const std::array<bool, kBands>& gone, uint32_t to);
  void compare_faults(const std::vector<PolicyStats>& policies);
  void compare_charges(const Engine& engine, const Stats& stats);
  uint32_t members(const Request& r) const;  // what of its class its subset leaves

  Options options_;
  TimeNs now_;
  TimeNs serving_ = 0, empty_ = 0;  // readings of the two clocks
  std::vector<Request> requests_;   // by sequence, from 1
  std::vector<RequestId> in_flight_;
  uint64_t parked_ = 0, bytes_ = 0;
  uint64_t parked_before_ = 0, bytes_before_ = 0;
  bool any_up_before_ = false;
  std::array<uint64_t, kOutcomes> outcomes_{};
  uint64_t dispatches_ = 0, requeues_ = 0;
  std::array<Band, kBands> bands_;
  std::array<Slot, kSlots> slots_;
  std::array<uint32_t, kClasses> classes_{};  // a bit for each slot
  uint32_t up_ = 0;                           // a bit for each slot
  Pipeline pipeline_;
  std::vector<uint32_t> ranks_;    // band of each rank
  std::vector<uint32_t> tenants_;  // tenant of each of the pipeline's
  std::deque<Generation> generations_;
  bool draining_ = false, drained_ = false;
  uint64_t calls_ = 0, compared_ = 0;
  // In this call:
  uint64_t newcomer_ = 0;  // the sequence that was submitted
  bool evicted_ = false;   // somebody
  uint64_t asked_ = 0;     // requests whose class was asked for
  bool reclassifies_ = false;
  std::map<uint64_t, Outcome> must_end_;  // by sequence
  struct Faults {
    uint64_t seen = 0;
    std::deque<TimeNs> recent;
  };
  std::map<std::string, Faults> faults_;
  std::array<std::array<int64_t, kFlows>, kBands> served_{};  // charged for what is over
  std::optional<std::string> wrong_;
};

template <typename... Words>
void Oracle::fail(const Words&... words) {
  if (wrong_) return;
  std::ostringstream text;
  (text << ... << words);
  wrong_ = text.str();
}

}  // namespace sluice::sim
