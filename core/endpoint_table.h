// The endpoints of the pool, the eligibility classes over them, and who has room.
//
// Room is counted, not sampled: an endpoint has room while it is up, not paused, not earmarked, and
// has less in flight than its limits, in requests, in tokens and in prompts whose answers have not
// begun. Its limits are given, or learnt below what is given. A request fits if its size does, or if
// nothing else is there. A class has `rooms` endpoints with room; it is kept current by each change,
// so that asking is O(1). Classes come from the driver (define) or are derived from one for a
// request that may use only some of its endpoints, or under which some broke. Complexity: a change
// of one endpoint's room is O(classes that contain it).
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "core/endpoint_rows.h"
#include "core/endpoint_set.h"
#include "core/flow_table.h"
#include "core/pipeline.h"
#include "core/planted.h"
#include "core/request.h"
#include "core/room_learner.h"
#include "core/stats.h"

namespace sluice {

struct EligibilityClass {
  EndpointSet members;
  uint32_t rooms = 0;       // members with room
  uint32_t parent = kNone;  // of a derived class
  Narrowing narrowing;      // of the parent
  uint32_t requests = 0;    // that use it; a derived class is dropped at 0
  bool in_use = false;
  Flow* first_blocked = nullptr;  // flows that were told BLOCKED because of it
};

class EndpointTable {
 public:
  // Told when a class gets its first room (true) or loses its last (false).
  using RoomChanged = std::function<void(uint32_t cls, bool has_room)>;
  // Told when what the decision log says of an endpoint has changed.
  using EndpointChanged = std::function<void(uint32_t slot)>;
  // ABSENT is borrowed: the declared columns that there are, and what fills up shorter rows.
  EndpointTable(const AbsentColumns& absent, RoomChanged room_changed,
                EndpointChanged endpoint_changed);
  void absent_changed() { seen_.outdated(); }

  void set_now(TimeNs now) { now_ = now; }
  void set(uint32_t slot, const EndpointLimits& limits, bool up);
  void remove(uint32_t slot);
  void report_asked(uint32_t slot);
  void report(uint32_t slot, const EndpointReport& report);
  // What a request takes of an endpoint.
  struct Load {
    uint64_t cost = 0;
    uint64_t tokens = 0;      // of its room
    uint64_t prefilling = 0;  // of its prompt, until its answer begins
  };
  // A request was dispatched there.
  void take(uint32_t slot, const Load& load);
  void release(uint32_t slot, const Load& load);
  // What was taken at FROM is taken at TO instead, with room or without. TO exists.
  void move(uint32_t from, uint32_t to, const Load& load);
  // An answer has begun, whose prompt had so many tokens.
  void prefilled(uint32_t slot, uint64_t tokens);
  bool exists(uint32_t slot) const { return slot < rows_.size() && rows_[slot].exists; }
  bool is_up(uint32_t slot) const { return slot < rows_.size() && rows_[slot].up; }
  void grow(uint32_t slot, uint64_t cost, uint64_t tokens);
  void rejected(uint32_t slot);  // by the engine: it is full; leave it alone for a while
  // Keeps the endpoint for one request, or lets it go: it has no room for any other.
  void earmark(uint32_t slot, bool on);
  // It has answered a request of that cost in full: earlier rejections are forgotten.
  void worked(uint32_t slot, uint64_t cost);
  void end_pauses(TimeNs now);
  TimeNs next_pause_end() const { return next_pause_end_; }

  bool any_up() const { return up_count_ != 0; }
  bool idle(uint32_t slot) const { return slot >= rows_.size() || in_flight_[slot] == 0; }
  bool has_room(uint32_t slot) const { return room_.contains(slot); }
  const EndpointSet& room() const { return room_; }
  std::span<const uint32_t> in_flight() const { return in_flight_; }  // by slot
  uint32_t limit(uint32_t slot) const { return rows_[slot].limit; }
  bool fits(uint32_t slot, uint64_t tokens) const { return tokens <= spare_tokens_[slot]; }
  // Of its limit, tokens that are not taken; without bounds if it has none, or nothing in flight.
  uint64_t spare_tokens(uint32_t slot) const { return spare_tokens_[slot]; }
  // Whether an earmarked endpoint could take the request that it is kept for.
  bool takes(uint32_t slot, uint64_t tokens) const {
    return usable(slot) && !prefills(slot) && in_flight_[slot] < rows_[slot].limit &&
           fits(slot, tokens);
  }
  // It is up, and full of requests or busy with prompts: room will come.
  bool waits_for(uint32_t slot) const {
    return slot < rows_.size() && to_be_had(slot) &&
           (in_flight_[slot] >= rows_[slot].limit || prefills(slot));
  }
  bool limits_prompts(uint32_t slot) const { return rows_[slot].given.prefill_tokens != 0; }
  // It is busy with as many prompts as it may be.
  bool prefills(uint32_t slot) const {
    const Row& r = rows_[slot];
    return r.given.prefill_tokens != 0 && r.prefilling >= r.given.prefill_tokens &&
           !planted(Planted::kPromptsUncounted);
  }
  // Usable, not earmarked, with tokens left.
  bool to_be_had(uint32_t slot) const {
    return usable(slot) && !rows_[slot].earmarked && spare_tokens_[slot] != 0;
  }
  bool usable(uint32_t slot) const {
    const Row& r = rows_[slot];
    return r.exists && r.up && !r.ghost && r.paused_until == 0;
  }
  const std::vector<uint32_t>& classes_of(uint32_t slot) const { return rows_[slot].classes; }
  // What all endpoints together may have in flight; UINT64_MAX = no limit.
  struct Room {
    uint64_t requests = 0, tokens = 0;
  };
  Room room_of_pool() const;
  // What is in flight at endpoints that are down or removed, and so takes no room of the others.
  Room in_flight_elsewhere() const { return elsewhere_; }
  // A band has all of the pool's room that it may have, SHARE of it: no endpoint will be filled.
  void at_share(double share) {
    share_ = share;
    share_at_ = now_;
  }
  // Changes whenever an endpoint may have become able to take more.
  uint64_t version() const { return version_; }
  // Whether the log should call it open: up, not paused, not earmarked, with tokens left, and not
  // busy with prompts.
  bool open(uint32_t slot) const;

  // Classes by the engine's own index.
  uint32_t class_of(ClassId id);  // makes an empty one if the driver has not defined it
  void define(ClassId id, const std::vector<uint32_t>& members);
  // What NARROWING leaves of PARENT. Nothing is excluded while nothing else is up. The caller then
  // holds it by hold().
  uint32_t derive(uint32_t parent, const Narrowing& narrowing);
  void hold(uint32_t cls) { ++classes_[cls].requests; }
  void drop(uint32_t cls);
  EligibilityClass& at(uint32_t cls) { return classes_[cls]; }
  const std::vector<EligibilityClass>& classes() const { return classes_; }
  // The classes whose members have changed, derived ones included; then forgotten.
  std::vector<uint32_t> take_changed();

  // What scoring policies see: a row for each endpoint that is up. NOW ages the metrics.
  const sluice_endpoints& view(TimeNs now);
  uint32_t row_of(uint32_t slot) const { return seen_.row_of(slot); }

  std::vector<EndpointStats> stats() const;

 private:
  struct Row {
    bool exists = false, up = false, ghost = false, earmarked = false;
    EndpointLimits given;
    RoomLearner learner;
    uint32_t limit = 0;  // the limits are those in force
    uint64_t limit_tokens = 0, tokens = 0;
    uint64_t prefilling = 0;  // tokens of prompts
    uint64_t cost = 0, dispatches = 0;
    // What was in flight for more than a moment: since a report was asked for last, and between
    // that one and the one before.
    uint32_t low = 0, high = 0, low_before = 0;
    uint64_t tokens_asked = 0;
    TimeNs asked_ns = 0, changed_ns = 0;
    bool tokens_short = false;  // since then there were too few tokens left for somebody
    bool said_open = false;     // as the log was told last
    uint32_t said_limit = 0;
    TimeNs paused_until = 0, pause = 0;
    Room serving, elsewhere;  // its part of the pool's
    EndpointReport report;
    std::vector<uint32_t> classes;  // that contain it
  };

  Row& row(uint32_t slot);
  void count(uint32_t slot, int change);
  void refresh_limits(uint32_t slot);
  void refresh_room(uint32_t slot);
  void count_room(uint32_t slot);
  void set_members(uint32_t cls, const EndpointSet& members);
  EndpointSet rest_of(const EndpointSet& all, const Narrowing& narrowing) const;
  void refresh_derived();  // O(derived classes): those of requests that broke and are not over
  EndpointRows::Own own(uint32_t slot) const {
    return {rows_[slot].limit, in_flight_[slot], rows_[slot].cost};
  }

  TimeNs now_ = 0;
  uint64_t version_ = 0;
  RoomChanged room_changed_;
  EndpointChanged endpoint_changed_;
  // By slot; what each choice of an endpoint looks at stands close together.
  std::vector<Row> rows_;
  std::vector<uint32_t> in_flight_;
  std::vector<uint64_t> spare_tokens_;
  EndpointSet room_;
  uint32_t up_count_ = 0;
  Room serving_, elsewhere_;                                // sums; those without bounds left out
  uint32_t unbounded_requests_ = 0, unbounded_tokens_ = 0;  // endpoints
  double share_ = 1;
  TimeNs share_at_ = 0;
  TimeNs next_pause_end_ = kNever;
  std::vector<EligibilityClass> classes_;
  std::vector<uint32_t> by_id_;  // ClassId -> index
  std::map<std::pair<uint32_t, Narrowing>, uint32_t> derived_;
  std::vector<uint32_t> free_classes_;
  std::vector<uint32_t> changed_;

  EndpointRows seen_;  // by scoring policies
};

}  // namespace sluice
