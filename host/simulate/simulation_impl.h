// The inside of a run, shared by the files that implement it:
//   simulation.cc         the loop, arrivals, servers, and what the engine decides
//   simulation_counts.cc  room, waiting work and prefixes as they change, for the measures
#pragma once

#include <memory>
#include <unordered_set>
#include <vector>

#include "core/engine.h"
#include "host/simulate/earliest.h"
#include "host/simulate/hindsight.h"
#include "host/simulate/model_server.h"
#include "host/simulate/room_history.h"
#include "host/simulate/simulation.h"
#include "host/simulate/submissions.h"

namespace sluice::simulate {

inline constexpr TimeNs kStart = 1'000'000'000;  // the engine's clock then: 0 means never

class Simulation {
 public:
  Simulation(const Setup& setup, traces::Source& trace, const RunOptions& options)
      : setup_(setup), trace_(trace), options_(options), measures_(setup, options.measures) {}

  Result<RunResult> run();

 private:
  // A request between its arrival and its end.
  struct Live {
    RequestId id;
    uint64_t number = 0;
    std::shared_ptr<const RequestKind> kind;
    RequestRecord record;
    GhostId ghost;
    uint32_t client = kNone, server = kNone;
    // ROOM_BEFORE: how long there had been room for it when it was parked.
    TimeNs room_before = 0, parked_with_room = 0, queued_since = 0, queued = 0;
    bool parked = false;
    std::vector<uint64_t> prefix;
  };

  void start_servers();
  void arrive();
  void scrape(uint32_t server);
  void skip_scrapes(TimeNs until);
  void hear(uint32_t server);
  void act();
  void dispatch(const Decision& decision, uint32_t live);
  void end(uint32_t live, Outcome outcome);
  void server_changed(uint32_t server);
  void note_room(uint32_t server);
  void park(Live& r);
  TimeNs with_room(const Live& r) const;
  void change_waiting(const Live& r, int by);
  void count_unused();
  // One that is refused at once has no slot of its own.
  uint32_t live_of(RequestId id) const {
    return id.seq == submitting_.seq ? submitting_live_ : live_of_slot_[id.slot];
  }
  static TimeNs since_start(TimeNs at) { return at == kNever ? kNever : at - kStart; }
  void waits(uint32_t live, int by);
  uint64_t ideal_blocks(const std::vector<uint64_t>& prefix);
  uint64_t pooled_blocks(const std::vector<uint64_t>& prefix);

  const Setup& setup_;
  traces::Source& trace_;
  const RunOptions& options_;
  Measures measures_;
  std::unique_ptr<Engine> engine_;
  ModelClasses classes_;
  std::unique_ptr<Submissions> submissions_;
  Ghosts ghosts_;
  std::vector<ModelServer> servers_;
  std::vector<EndpointReport> reports_;         // with their declared columns filled in
  std::vector<std::vector<uint32_t>> members_;  // of each class
  std::vector<Measures::ServerSet> member_sets_;
  std::vector<RoomHistory> rooms_;    // by class
  std::vector<uint32_t> waiting_;     // parked or in a server's queue, by class
  std::vector<uint32_t> room_;        // of each server
  std::vector<uint32_t> free_slots_;  // of each server
  bool unused_changed_ = false;       // count_unused() has something to do
  std::vector<uint32_t> parked_;      // by band
  Earliest servers_due_, scrapes_due_;
  TimeNs now_ = kStart, last_arrival_ = kStart;
  uint64_t next_number_ = 1, under_way_ = 0, hash_ = 0;
  std::vector<Live> live_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> live_of_slot_;  // by RequestId::slot
  RequestId submitting_;
  uint32_t submitting_live_ = kNone;
  std::vector<ServerEvent> events_;
  std::vector<Decision> decisions_;
  std::unordered_set<uint64_t> blocks_seen_;
  PrefixCache pooled_;
  uint64_t pooled_blocks_max_ = 0;
};

}  // namespace sluice::simulate
