#include "core/decision_checker.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/decision_replay.h"
#include "core/limits.h"

namespace sluice {
namespace {

using Kind = LogRecord::Kind;
using replay::Band;
using replay::Endpoint;
using replay::Request;

bool ends_parked(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCancelled:
    case Outcome::kRejectedFull:
    case Outcome::kRejectedNoEndpoint:
    case Outcome::kRejectedUnknownModel:
    case Outcome::kRejectedDraining:
    case Outcome::kDrained:
    case Outcome::kExpired:
    case Outcome::kEvicted:
      return true;
    default:
      return false;
  }
}

bool ends_in_flight(Outcome outcome) {
  return outcome == Outcome::kCompleted || outcome == Outcome::kUpstreamError ||
         outcome == Outcome::kClientGone || outcome == Outcome::kRevoked;
}

std::string number(uint64_t value) { return std::to_string(value); }

}  // namespace

struct DecisionChecker::Impl {
  using What = Violation::Kind;

  CheckReport report;
  ParsedRecord parsed;
  bool opening = true;  // before the first kSettled
  uint64_t last_seq = 0;

  replay::State state;
  std::vector<Band*> idle;  // bands marked in this call

  // ---- what is told ----

  // TEXT is a function, so that words are made only for violations that are kept.
  template <typename F>
  void violation(What kind, F&& text) {
    ++report.violations[static_cast<size_t>(kind)];
    if (report.first.size() < kViolationsKept) {
      report.first.push_back({kind, report.lines, report.last_at, text()});
    }
  }

  void give_up(const std::string& why) {
    if (report.incomplete.empty()) report.incomplete = "line " + number(report.lines) + ": " + why;
  }

  static std::string words(const Band& band) {
    return "band " + (band.name.empty() ? number(band.id) : band.name);
  }
  static std::string words(uint64_t seq, const Request& r) {
    const std::string flow = r.flow->name.empty() ? number(r.flow->id) : r.flow->name;
    return "#" + number(seq) + " (" + words(*r.band) + ", flow " + flow + ")";
  }

  std::string admissible_words(const Band& band) {
    const uint64_t seq = state.oldest_admissible(band);
    const Request& r = *state.find(seq);
    const auto room = std::find_if(r.cls->members.begin(), r.cls->members.end(),
                                   [&](uint32_t e) { return state.endpoint(e).has_room(); });
    return words(seq, r) + " was parked and endpoint " + number(*room) + " had room for it";
  }

  // ---- whom a record is about ----

  Band& declared_band(uint32_t id) {
    if (state.find_band(id) == nullptr) {
      violation(What::kLedger,
                [&] { return "band " + number(id) + " is used but was never told"; });
    }
    Band& found = state.band(id);
    found.idle = false;
    return found;
  }

  // The request that RECORD is about, or null and a violation.
  Request* live(const LogRecord& record, const char* verb) {
    Request* found = state.find(record.seq);
    if (found != nullptr) {
      found->band->idle = false;
      return found;
    }
    violation(What::kLedger, [&] {
      return "#" + number(record.seq) + " " + verb +
             (record.seq > last_seq ? " but was never submitted"
                                    : " but has ended already, or was never submitted");
    });
    return nullptr;
  }

  // ---- one record of each kind ----

  void on_band(const LogRecord& record) {
    Band& band = state.band(record.band);
    state.set_priority(band, static_cast<int32_t>(record.value));
    band.name = escape_name(record.name);
    band.idle = false;
  }

  void on_submit(const LogRecord& record) {
    const bool again = state.find(record.seq) != nullptr;
    // A log may open with what is parked already, in any order; from then on sequence is order of
    // arrival.
    if (again || (!opening && record.seq <= last_seq)) {
      violation(What::kLedger, [&] {
        return "#" + number(record.seq) + " is submitted " +
               (again ? "twice" : "after #" + number(last_seq) + ": again, or out of sequence");
      });
    }
    last_seq = std::max(last_seq, record.seq);
    if (again) return;
    ++report.requests;
    Request& r = state.request(record.seq);
    place(r, record);
    state.park(record.seq, r);
  }

  void place(Request& r, const LogRecord& record) {
    r.band = &declared_band(record.band);
    r.flow = &state.flow(*r.band, record.flow);
    if (!record.name.empty()) r.flow->name = escape_name(record.name);
    r.cls = &state.cls(record.cls);
    r.key = record.key;
  }

  void on_move(const LogRecord& record) {
    Request* r = live(record, "is moved");
    if (r == nullptr) return;
    if (!r->parked()) return place(*r, record);
    const replay::Flow* flow = r->flow;
    const bool held = flow->held == record.seq;
    state.unpark(record.seq, *r);
    place(*r, record);
    state.park(record.seq, *r);
    if (held && r->flow == flow) state.hold(*r, record.seq);  // another key lets nobody go
  }

  void on_dispatch(const LogRecord& record) {
    Request* r = live(record, "is dispatched");
    if (r == nullptr) return;
    if (!r->parked()) {
      violation(What::kLedger, [&] {
        return words(record.seq, *r) + " is dispatched while it is in flight at endpoint " +
               number(r->endpoint);
      });
      state.take_off(*r);
      state.land(*r, record.endpoint);
      return;
    }
    if (!record.flag) {
      ++report.dispatches;
      check_dispatch(record, *r);
    } else if (!opening) {
      violation(What::kLedger, [&] {
        return words(record.seq, *r) +
               " is said to be in flight since before the log began, but the log began long ago";
      });
    }
    r->attempts = record.value;
    state.unpark(record.seq, *r);
    state.land(*r, record.endpoint);
  }

  void check_dispatch(const LogRecord& record, const Request& r) {
    const Endpoint& endpoint = state.endpoint(record.endpoint);
    const auto to = [&] {
      return words(record.seq, r) + " is dispatched to endpoint " + number(record.endpoint);
    };
    if (record.value != r.attempts + 1) {
      violation(What::kLedger, [&] {
        return to() + " as attempt " + number(record.value) + " after " + number(r.attempts);
      });
    }
    if (!std::binary_search(r.cls->members.begin(), r.cls->members.end(), record.endpoint)) {
      violation(What::kEligibility, [&] { return to() + ", which is not of its class"; });
    }
    if (!endpoint.has_room()) {
      violation(What::kEligibility, [&] {
        return to() + (endpoint.open ? ", which is full: " + number(endpoint.in_flight) +
                                           " in flight of at most " + number(endpoint.limit)
                                     : ", which has no room to give");
      });
    }
    check_inversion(r, to);
    const auto head = r.flow->parked.begin()->first;
    if (head != std::pair(r.key, record.seq)) {
      violation(What::kOrder, [&] {
        return to() + " with key " + number(r.key) + " before #" + number(head.second) +
               " of its flow with key " + number(head.first);
      });
    }
  }

  template <typename F>
  void check_inversion(const Request& r, F&& to) {
    bool contested = false, excused = false;
    for (const Band* higher : state.waiting()) {
      if (higher->priority <= r.band->priority) break;
      contested = true;
      if (higher->admissible == 0) continue;
      if (higher->idle) {
        excused = true;
        continue;
      }
      violation(What::kInversion, [&] { return to() + " while " + admissible_words(*higher); });
      break;  // one dispatch is one inversion
    }
    report.contested += contested;
    report.excused += excused;
  }

  void on_requeue(const LogRecord& record) {
    Request* r = live(record, "is requeued");
    if (r == nullptr) return;
    if (r->parked()) {
      violation(What::kLedger,
                [&] { return words(record.seq, *r) + " is requeued while it is parked"; });
      state.unpark(record.seq, *r);
    } else {
      state.take_off(*r);
    }
    ++report.requeues;
    r->cls = &state.cls(record.cls);
    state.park(record.seq, *r);
  }

  void on_served(const LogRecord& record) {
    Request* r = live(record, "is served elsewhere");
    if (r == nullptr) return;
    if (r->parked()) {
      violation(What::kLedger,
                [&] { return words(record.seq, *r) + " is served while it is parked"; });
      return;
    }
    state.take_off(*r);
    state.land(*r, record.endpoint);
  }

  void on_end(const LogRecord& record) {
    Request* r = live(record, "ends");
    if (r == nullptr) return;
    const bool parked = r->parked();
    if (!(parked ? ends_parked(record.outcome) : ends_in_flight(record.outcome))) {
      violation(What::kLedger, [&] {
        return words(record.seq, *r) + " ends as " + to_string(record.outcome) + " while it is " +
               (parked ? "parked" : "in flight");
      });
    }
    if (parked) {
      state.unpark(record.seq, *r);
    } else {
      state.take_off(*r);
    }
    ++report.ended[static_cast<size_t>(record.outcome)];
    state.erase(record.seq);
  }

  void on_idle(const LogRecord& record) {
    Band& b = declared_band(record.band);
    b.idle = true;
    idle.push_back(&b);
  }

  void on_held(const LogRecord& record, bool held) {
    Request* r = live(record, held ? "is kept back" : "is no longer kept back");
    if (r == nullptr) return;
    if (!r->parked()) {
      violation(What::kLedger,
                [&] { return words(record.seq, *r) + " is kept back while it is in flight"; });
      return;
    }
    state.hold(*r, held ? record.seq : 0);
  }

  void on_settled() {
    ++report.calls;
    opening = false;
    for (const Band* b : state.waiting()) {
      if (b->admissible == 0) continue;
      if (b->idle) {
        ++report.excused;
      } else {
        violation(What::kConservation,
                  [&] { return "at the end of an engine call " + admissible_words(*b); });
      }
    }
    for (Band* b : idle) b->idle = false;
    idle.clear();
  }

  // False, and why, for what no engine can mean.
  bool in_range(const LogRecord& record) {
    const auto endpoint_ok = [&](uint32_t endpoint) {
      if (endpoint < kEndpointsMax) return true;
      give_up("endpoint " + number(endpoint) + " is beyond the last possible one, " +
              number(kEndpointsMax - 1));
      return false;
    };
    if (record.kind == Kind::kEndpoint || record.kind == Kind::kDispatch ||
        record.kind == Kind::kServed)
      return endpoint_ok(record.endpoint);
    if (record.kind == Kind::kClass && record.members != nullptr) {
      return std::all_of(record.members->begin(), record.members->end(), endpoint_ok);
    }
    return true;
  }

  void apply(const LogRecord& record) {
    if (!report.incomplete.empty()) return;
    if (report.closed) return give_up("a record after the one that closes the log");
    if (!in_range(record)) return;
    if (report.records++ == 0) report.first_at = report.last_at = record.at;
    if (record.at < report.last_at) {
      violation(What::kLedger, [&] {
        return "time runs backwards, from " + number(report.last_at) + " to " + number(record.at);
      });
    }
    report.last_at = std::max(report.last_at, record.at);
    switch (record.kind) {
      case Kind::kBand:
        return on_band(record);
      case Kind::kEndpoint:
        return state.set_endpoint(record.endpoint,
                                  record.value >= kNone ? UINT64_MAX : record.value, record.flag);
      case Kind::kClass:
        return state.set_members(state.cls(record.cls),
                                 record.members ? *record.members : std::vector<uint32_t>());
      case Kind::kSubmit:
        return on_submit(record);
      case Kind::kMove:
        return on_move(record);
      case Kind::kDispatch:
        return on_dispatch(record);
      case Kind::kRequeue:
        return on_requeue(record);
      case Kind::kServed:
        return on_served(record);
      case Kind::kEnd:
        return on_end(record);
      case Kind::kIdle:
        return on_idle(record);
      case Kind::kHeld:
        return on_held(record, true);
      case Kind::kFree:
        return on_held(record, false);
      case Kind::kSettled:
        return on_settled();
      case Kind::kGap:
        return give_up(number(record.value) +
                       " records are missing here, as the log's writer could not keep up; nothing "
                       "after it was checked");
      case Kind::kClose:
        report.closed = true;
        return;
    }
  }

  void read_header(std::string_view line) {
    const std::string magic = std::string(kDecisionLogMagic) + " ";
    if (!line.starts_with(magic)) {
      return give_up("this is not a decision log: it does not begin with \"" +
                     std::string(kDecisionLogMagic) + "\"");
    }
    line.remove_prefix(magic.size());
    const std::string_view version = line.substr(0, line.find(' '));
    if (version != number(kDecisionLogVersion)) {
      give_up("the log has a format other than " + number(kDecisionLogVersion) +
              ", the one that this checker reads; use the sluice that wrote it");
    }
  }
};

const char* to_string(Violation::Kind kind) {
  switch (kind) {
    case Violation::Kind::kLedger:
      return "ledger";
    case Violation::Kind::kEligibility:
      return "eligibility";
    case Violation::Kind::kInversion:
      return "inversion";
    case Violation::Kind::kOrder:
      return "order";
    case Violation::Kind::kConservation:
      return "conservation";
  }
  return "?";
}

uint64_t CheckReport::ended_in_all() const {
  return std::accumulate(ended.begin(), ended.end(), uint64_t{0});
}

uint64_t CheckReport::violations_in_all() const {
  return std::accumulate(violations.begin(), violations.end(), uint64_t{0});
}

DecisionChecker::DecisionChecker() : impl_(std::make_unique<Impl>()) {}
DecisionChecker::~DecisionChecker() = default;

void DecisionChecker::write(const LogRecord& record) {
  ++impl_->report.lines;
  impl_->apply(record);
}

void DecisionChecker::read_line(std::string_view line) {
  if (++impl_->report.lines == 1) return impl_->read_header(line);
  if (!impl_->report.incomplete.empty()) return;
  if (line.size() > kDecisionLogLineBytesMax) {
    return impl_->give_up("longer than any record of a decision log");
  }
  std::string error;
  if (parse_line(line, impl_->parsed, error)) {
    impl_->apply(impl_->parsed.record);
  } else {
    impl_->give_up("this is no record of a decision log: " + error);
  }
}

void DecisionChecker::end_of_file(bool cut_off) {
  CheckReport& report = impl_->report;
  if (cut_off) {
    ++report.lines;
    impl_->give_up("the file ends in the middle of this line");
  } else if (report.lines == 0) {
    report.incomplete = "the file is empty";
  }
}

const CheckReport& DecisionChecker::report() const {
  impl_->report.parked = impl_->state.parked();
  impl_->report.in_flight = impl_->state.in_flight();
  return impl_->report;
}

}  // namespace sluice
