// Replays a decision log and recomputes what the engine promised: the ledger, eligibility,
// priority, order inside flows and work conservation.
//
// It believes the facts that a log states (what was submitted, which endpoints had room to give,
// who ended) and none of its choices, and shares no code with the engine. docs/decision-log.md
// defines each check. Being a DecisionLog, it can also be given to an engine directly. Threads: one
// at a time. Memory: what is parked and in flight, plus each flow and class once. Complexity: a
// record costs O(log parked of its flow + bands with work), one that fills or frees an endpoint
// also the classes that contain it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/decision_log.h"

namespace sluice {

inline constexpr std::string_view kDecisionLogMagic = "sluice-decision-log";
inline constexpr uint32_t kDecisionLogVersion = 1;
inline constexpr size_t kDecisionLogLineBytesMax = 1 << 20;
inline constexpr size_t kViolationsKept = 20;  // told in words; beyond that they are only counted

struct Violation {
  enum class Kind : uint8_t {
    kLedger,        // a request was in two places, or in none; or time ran backwards
    kEligibility,   // a dispatch to an endpoint that is not of the request's class, or has no room
    kInversion,     // a dispatch while a head of a higher band had room somewhere
    kOrder,         // a dispatch that was not the head of its flow
    kConservation,  // a call ended with a head parked that an endpoint had room for
  };
  Kind kind = Kind::kLedger;
  uint64_t line = 0;  // from 1; for records that came by write(), their number
  TimeNs at = 0;
  std::string text;
};
inline constexpr size_t kViolationKinds = 5;
const char* to_string(Violation::Kind kind);  // "ledger", "inversion"

struct CheckReport {
  uint64_t lines = 0;    // read, the header included
  uint64_t records = 0;  // checked
  uint64_t calls = 0;    // of the engine that were checked to their end
  uint64_t requests = 0, dispatches = 0, requeues = 0;
  uint64_t parked = 0, in_flight = 0;  // at the end
  std::array<uint64_t, kOutcomes> ended{};
  // Dispatches while something of a higher band was parked: the chances for an inversion.
  uint64_t contested = 0;
  // Dispatches and ends of calls that were legal only because a band had said that it idles or
  // holds.
  uint64_t excused = 0;
  TimeNs first_at = 0, last_at = 0;
  std::array<uint64_t, kViolationKinds> violations{};  // by Violation::Kind
  std::vector<Violation> first;                        // at most kViolationsKept
  std::string incomplete;  // why not all of it could be checked; "" = all was
  bool closed = false;     // the log ends as one does that was closed in good order

  uint64_t ended_in_all() const;
  uint64_t violations_in_all() const;
  bool ok() const { return incomplete.empty() && violations_in_all() == 0; }
};

class DecisionChecker : public DecisionLog {
 public:
  DecisionChecker();
  ~DecisionChecker() override;

  // The next record, straight from an engine.
  void write(const LogRecord& record) override;
  // The next line of a file without its newline, the header first.
  void read_line(std::string_view line);
  // The file has no more lines. CUT_OFF: its last one, which was not read, has no newline.
  void end_of_file(bool cut_off);

  // As of now. A log may be checked while it grows.
  const CheckReport& report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
