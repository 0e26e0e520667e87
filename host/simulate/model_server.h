// A model server in virtual time: continuous batching with a queue of its own, first come, first
// served, as vLLM, SGLang and LightLLM do it.
//
// It works in steps. Between two steps it lets waiting requests into the batch; a step prefills
// them, or makes a token of each running sequence, or with chunked prefill both. Decode steps up to
// the next event that somebody can see are reckoned at once, so that the cost of simulating goes
// with requests and not with tokens.
// Threads: one. Time: `now` never runs backwards, and advance(now) comes before any other call at
// that time. Units: nanoseconds outside; picoseconds inside, since a moment that moves along, so that
// a run may last for years. Complexity: O(log running) an event.
// It shares nothing with host/sim_server, so that each can be checked against the other.
#pragma once

#include <deque>
#include <functional>
#include <queue>
#include <vector>

#include "core/types.h"
#include "host/simulate/hindsight.h"
#include "host/simulate/prefix_cache.h"
#include "host/simulate/servers.h"

namespace sluice::simulate {

// Greedy admission leaves one part in so many of the KV cache free: vLLM's watermark.
inline constexpr uint64_t kKeptFree = 100;

// Tokens between two reports of what a running sequence has made.
inline constexpr uint32_t kProgressTokens = 32;

struct Job {
  uint32_t request = 0;  // the driver's name for it
  uint32_t prompt = 1, output = 1;
  std::vector<uint64_t> prefix = {};  // chained hashes of whole blocks of kBlockTokens
};

struct ServerEvent {
  enum class Kind : uint8_t {
    kAdmitted,    // its prefill begins, for the first time; `tokens` of its prompt were cached
    kFirstToken,  // its prefill is done
    kProgress,    // it has made `tokens` so far
    kFinished,    // with `tokens`
  } kind = Kind::kAdmitted;
  uint32_t request = 0;
  TimeNs at = 0;
  uint32_t tokens = 0;
};

class ModelServer {
 public:
  ModelServer(const ServerModel& model, Ghosts& ghosts);

  enum class Answer : uint8_t {
    kQueued,
    kFull,     // its queue is: 429
    kTooLong,  // the prompt does not fit the KV cache: 400
  };
  // An output that would not fit the KV cache ends where that is full.
  Answer submit(TimeNs now, Job job);
  // The client left, wherever the request is. Nothing more is told of it.
  void cancel(TimeNs now, uint32_t request);
  // The ghost of such a request joins the queue.
  void add_ghost(TimeNs now, GhostId id, uint32_t prompt, uint32_t output);
  // When advance() is due; kNever while it is idle.
  TimeNs next_at() const { return next_at_; }
  // Does what is due until now, and appends to EVENTS what others see of it, in order.
  void advance(TimeNs now, std::vector<ServerEvent>& events);

  // As its /metrics would say.
  uint32_t running() const { return running_ + static_cast<uint32_t>(prefilling_.size()); }
  uint32_t waiting() const { return static_cast<uint32_t>(waiting_.size()); }
  float kv_used(TimeNs now) const;
  // The largest prompt that could join the batch; 0 = none, or others wait already.
  uint32_t room() const;
  // How long the prefill of PROMPT tokens, CACHED of them in the cache, takes alone.
  TimeNs prefill_alone(uint32_t prompt, uint32_t cached) const;
  uint64_t preemptions() const { return preemptions_; }
  const ServerModel& model() const { return model_; }

 private:
  static constexpr uint64_t kPsPerNs = 1000;
  static TimeNs whole_ns(uint64_t ps) { return (ps + kPsPerNs - 1) / kPsPerNs; }
  // A moment inside as others see it: not before it has come.
  TimeNs seen_at(uint64_t ps) const { return epoch_ + whole_ns(ps); }

  struct Sequence {
    Job job;
    uint64_t order = 0;      // of its arrival in the queue
    uint64_t ticket = 0;     // of its joining the batch, unique; 0 = this slot is free
    uint32_t cached = 0;     // tokens that the cache spared
    uint32_t prefilled = 0;  // of the others
    uint32_t chunk = 0;      // of the step under way
    uint32_t done = 0;       // tokens made when step_ was `since`
    uint64_t since = 0;
    uint64_t kv_own = 0;  // tokens in the KV cache that it shares with nobody, at that time
    bool told = false;    // that it was admitted
    bool gone = false;    // its client left
    uint32_t tokens() const { return job.prompt + done; }
  };
  struct Ghost {
    GhostId id;
    uint64_t order = 0;
    uint32_t prompt = 0, output = 0;
  };
  struct Due {  // the step at which a sequence finishes or reports
    uint64_t step, ticket;
    uint32_t slot;
    bool operator>(const Due& o) const {
      return step != o.step ? step > o.step : ticket > o.ticket;
    }
  };
  enum class Plan : uint8_t { kNone, kPrefill, kDecode, kMixed };

  // ---- steps ----
  void plan(uint64_t start_ps);
  void finish_plan();
  void end_plan_at(uint64_t end_ps);
  // A run ends with the step under way, so that newcomers are looked at. Whoever comes when a step
  // begins is too late for it.
  void cut_run(TimeNs now, bool even_if_full = false);
  uint64_t step_ps() const;  // of one decode step as things are
  uint64_t run_ps(uint64_t steps) const;
  uint64_t steps_by(TimeNs now) const;
  void decoded(uint64_t steps);
  void settle_due();
  uint64_t run_length() const;
  // ---- the batch ----
  bool may_prefill() const;
  void admit();
  void admit_ghosts(uint64_t before, uint32_t budget, bool first);
  bool fits(uint32_t prompt, uint32_t output, uint64_t kv) const;
  uint64_t kept_free() const;
  bool peak_fits(uint32_t prompt, uint32_t output) const;
  uint64_t kv_needed(const Sequence& s) const;
  void begin_prefill(Sequence s);
  void end_prefill(Sequence s);
  void schedule(uint32_t slot);
  void bring_up_to_date(Sequence& s);
  void leave(uint32_t slot);
  bool make_place();
  void tell(ServerEvent::Kind kind, const Sequence& s, uint32_t tokens, uint64_t at_ps);

  const ServerModel model_;
  Ghosts& ghosts_;
  PrefixCache cache_;
  std::deque<Sequence> waiting_;
  std::deque<Ghost> ghost_queue_;
  std::vector<Sequence> prefilling_;  // in the order of their admission
  std::vector<Sequence> slots_;       // what decodes
  std::vector<uint32_t> free_slots_;
  uint32_t running_ = 0;    // slots in use
  bool some_gone_ = false;  // of what is in slots
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  uint64_t next_order_ = 1, next_ticket_ = 1;
  uint64_t step_ = 0;          // decode steps done
  uint64_t last_prefill_ = 0;  // step_ then
  uint64_t context_ = 0;       // tokens of what decodes
  uint64_t kv_held_ = 0;       // tokens of the KV cache in use
  uint64_t preemptions_ = 0;
  bool threw_out_ = false;  // somebody, before the step under way: nobody is let in to it

  Plan plan_ = Plan::kNone;
  TimeNs epoch_ = 0;  // what the moments below are since; not after the plan's start
  uint64_t start_ps_ = 0, end_ps_ = 0;
  uint64_t run_steps_ = 0;  // of kDecode
  TimeNs next_at_ = kNever;
  std::vector<ServerEvent> untold_;
  mutable std::vector<std::pair<uint64_t, uint64_t>> scratch_;  // of peak_fits
};

}  // namespace sluice::simulate
