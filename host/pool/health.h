// Passive health of one endpoint: whether requests may be sent there, judged by how the last ones
// went.
//
//   up ------(kFailuresMax failures in a row)-----> ejected
//   ejected --(a scrape or connection as proof)---> probation: one request at a time
//   ejected --(a request succeeds)----------------> up
//   probation --(a request succeeds)--------------> up
//   probation --(one failure)---------------------> ejected
// A request fails if its connection is refused, times out, or breaks before its answer's end; a
// whole answer of any status is a success. Scrapes see connections too: one refused counts like a
// request's, but a page that is missing, slow or unreadable does not. Proof is:
//   - a good scrape, at once, if a connection was refused before it: the server was away and is
//     back. Where only requests failed, scrapes that succeed say nothing;
//   - any scrape that connects once the backoff has passed: 1 s, doubling up to 30 s while
//     ejections follow each other.
// Threads: one at a time. Time is an argument. O(1).
#pragma once

#include <cstdint>

#include "core/types.h"
#include "host/pool/pool_limits.h"

namespace sluice {

class Health {
 public:
  enum class State : uint8_t { kUp, kProbation, kEjected };

  // How requests and scrapes went. True if state() has changed.
  bool request_succeeded(TimeNs now);
  bool request_failed(TimeNs now);
  bool connect_failed(TimeNs now);  // of a scrape or probe
  bool connected(TimeNs now);       // a scrape or probe got through, whatever the answer
  bool scraped(TimeNs now);         // a scrape got through with a good page

  bool up() const { return state_ != State::kEjected; }
  State state() const { return state_; }
  // Ejected, and a connection would be proof by now.
  bool probe_due(TimeNs now) const;
  TimeNs backoff_ends_ns() const { return backoff_ends_; }                     // while ejected
  uint32_t failures() const { return request_failures_ + connect_failures_; }  // in a row
  uint64_t ejections() const { return ejections_; }

 private:
  bool fail(TimeNs now);
  bool readmit(State state, TimeNs now);

  State state_ = State::kUp;
  bool refused_since_ejected_ = false;
  uint32_t request_failures_ = 0, connect_failures_ = 0;
  uint32_t streak_ = 0;  // ejections that followed each other; doubles the backoff
  TimeNs readmitted_at_ = 0;
  TimeNs backoff_ends_ = 0;
  uint64_t ejections_ = 0;
};

}  // namespace sluice
