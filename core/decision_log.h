// The decision log: what the engine saw and did, complete enough to check its promises without
// trusting it.
//
// Core fills records and hands them to a DecisionLog; the host's writes text lines to a file, a
// test's keeps them. The checker (decision_checker.h) reads the records alone and shares no code
// with the engine.
// Threads: write() is called from within engine calls and must not call back.
// Units: nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace sluice {

struct LogRecord {
  enum class Kind : uint8_t {
    // band, name, value = priority (two's complement), flag = holds when blocked. Before its first
    // use, and again when something of it has changed.
    kBand,
    // endpoint, value = limit (kNone = no limit), flag = has room to give (up, not paused).
    kEndpoint,
    // cls, members: the whole new set. A class that was never told is empty.
    kClass,
    // seq, band, flow, cls, key, value = bytes: parked from here on.
    kSubmit,
    // seq, band, flow, cls, key: its place from now on (reconfigure, exclusion); of a request in
    // flight, the place that it returns to.
    kMove,
    // seq, endpoint, value = attempt, flag = in flight since before the log began (only before the
    // first kSettled).
    kDispatch,
    // seq, cls: from its endpoint back to parked, with the band, flow and key that it had.
    kRequeue,
    // seq, endpoint: in flight, there instead of where it was.
    kServed,
    // seq, outcome: parked or in flight -> ended.
    kEnd,
    // band: its fairness policy chose to idle, it holds, or it is at its ceiling. Until the band's
    // next record, or the next kSettled.
    kIdle,
    // seq, value = why (0 = for its size, 1 = for a better endpoint): the head of its flow is kept
    // back although endpoints have room. Until it leaves, or kFree.
    kHeld,
    // seq: it is not any more.
    kFree,
    // End of an engine call: from here on nothing admissible may be parked.
    kSettled,
    // value = records that are missing here. Of a DecisionLog that could not keep up, not of core.
    kGap,
    // Nothing follows. Of a DecisionLog that was closed in good order, not of core.
    kClose,
  };
  Kind kind = Kind::kSettled;
  TimeNs at = 0;
  uint64_t seq = 0;
  uint32_t band = kNone, flow = kNone, cls = kNone, endpoint = kNone;
  uint64_t key = 0, value = 0;
  Outcome outcome = Outcome::kCompleted;
  bool flag = false;
  std::string_view name;  // of a band, or of a flow on its first submit or move (else empty)
  const std::vector<uint32_t>* members = nullptr;  // kClass
};

class DecisionLog {
 public:
  virtual ~DecisionLog() = default;
  virtual void write(const LogRecord& record) = 0;
};

// One record as one line of text without the newline, appended to OUT; and back. The format is
// described in docs/decision-log.md. parse_line returns false and a reason for anything that
// format_line does not write.
void format_line(const LogRecord& record, std::string& out);
struct ParsedRecord {
  LogRecord record;  // its views point into the members below
  std::string name;
  std::vector<uint32_t> members;
};
bool parse_line(std::string_view line, ParsedRecord& out, std::string& error);
// NAME as lines show it: what is not visible UTF-8, and '%', as %XX.
std::string escape_name(std::string_view name);

}  // namespace sluice
