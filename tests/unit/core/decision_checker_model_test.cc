// The checker against a model that recounts everything at every record, on random logs with random
// faults.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/decision_checker.h"

namespace sluice {
namespace {

using Kind = LogRecord::Kind;
using What = Violation::Kind;

constexpr uint32_t kBands = 4, kFlows = 3, kClasses = 4, kEndpoints = 5;

struct Counts {
  std::map<What, uint64_t> violations;
  uint64_t contested = 0, excused = 0;
};

// The promises as docs/decision-log.md words them, and nothing kept that could be recounted.
class Model {
 public:
  struct Request {
    uint64_t seq;
    uint32_t band, flow, cls;
    uint64_t key, attempts = 0;
    uint32_t endpoint = kNone;
  };

  Counts counts;
  std::vector<Request> requests;

  Model()
      : priority_(kBands),
        idle_(kBands),
        limit_(kEndpoints),
        open_(kEndpoints),
        members_(kClasses) {}

  void apply(const LogRecord& r) {
    switch (r.kind) {
      case Kind::kBand:
        priority_[r.band] = static_cast<int32_t>(r.value);
        idle_[r.band] = false;
        return;
      case Kind::kEndpoint:
        limit_[r.endpoint] = r.value == kNone ? UINT64_MAX : r.value;
        open_[r.endpoint] = r.flag;
        return;
      case Kind::kClass:
        members_[r.cls] = {r.members->begin(), r.members->end()};
        return;
      case Kind::kSubmit:
        idle_[r.band] = false;
        requests.push_back({r.seq, r.band, r.flow, r.cls, r.key});
        return;
      case Kind::kMove: {
        Request& q = find(r.seq);
        idle_[q.band] = idle_[r.band] = false;
        q.band = r.band, q.flow = r.flow, q.cls = r.cls, q.key = r.key;
        return;
      }
      case Kind::kDispatch:
        return dispatch(r);
      case Kind::kRequeue:
        idle_[find(r.seq).band] = false;
        find(r.seq).cls = r.cls;
        find(r.seq).endpoint = kNone;
        return;
      case Kind::kEnd:
        idle_[find(r.seq).band] = false;
        std::erase_if(requests, [&](const Request& q) { return q.seq == r.seq; });
        return;
      case Kind::kIdle:
        idle_[r.band] = true;
        return;
      case Kind::kSettled:
        for (uint32_t band = 0; band < kBands; ++band) {
          if (!could_go(band)) continue;
          if (idle_[band]) ++counts.excused;
          if (!idle_[band]) ++counts.violations[What::kConservation];
          idle_[band] = false;
        }
        idle_.assign(kBands, false);
        return;
      default:
        return;
    }
  }

  Request& find(uint64_t seq) {
    return *std::find_if(requests.begin(), requests.end(),
                         [&](const Request& q) { return q.seq == seq; });
  }

 private:
  void dispatch(const LogRecord& r) {
    Request& q = find(r.seq);
    idle_[q.band] = false;
    if (!members_[q.cls].contains(r.endpoint)) ++counts.violations[What::kEligibility];
    if (!room(r.endpoint)) ++counts.violations[What::kEligibility];
    bool contested = false, inverted = false, excused = false;
    for (const Request& other : requests)
      contested |= other.endpoint == kNone && priority_[other.band] > priority_[q.band];
    // From the highest band down to the first that was wronged.
    std::vector<uint32_t> higher;
    for (uint32_t band = 0; band < kBands; ++band)
      if (priority_[band] > priority_[q.band] && could_go(band)) higher.push_back(band);
    std::sort(higher.begin(), higher.end(),
              [&](uint32_t a, uint32_t b) { return priority_[a] > priority_[b]; });
    for (const uint32_t band : higher) {
      if (!idle_[band]) {
        inverted = true;
        break;
      }
      excused = true;
    }
    counts.contested += contested;
    counts.excused += excused;
    counts.violations[What::kInversion] += inverted;
    counts.violations[What::kOrder] += !is_head(q);
    q.attempts = r.value;
    q.endpoint = r.endpoint;
  }

  bool room(uint32_t endpoint) const {
    const auto there = std::count_if(requests.begin(), requests.end(),
                                     [&](const Request& q) { return q.endpoint == endpoint; });
    return open_[endpoint] && static_cast<uint64_t>(there) < limit_[endpoint];
  }

  bool is_head(const Request& q) const {
    return std::none_of(requests.begin(), requests.end(), [&](const Request& o) {
      return o.endpoint == kNone && o.band == q.band && o.flow == q.flow &&
             std::pair(o.key, o.seq) < std::pair(q.key, q.seq);
    });
  }

  bool could_go(uint32_t band) const {
    return std::any_of(requests.begin(), requests.end(), [&](const Request& q) {
      return q.endpoint == kNone && q.band == band && is_head(q) &&
             std::any_of(members_[q.cls].begin(), members_[q.cls].end(),
                         [&](uint32_t e) { return room(e); });
    });
  }

  std::vector<int32_t> priority_;
  std::vector<bool> idle_;
  std::vector<uint64_t> limit_;
  std::vector<bool> open_;
  std::vector<std::set<uint32_t>> members_;
};

class RandomLog {
 public:
  explicit RandomLog(uint32_t seed) : random_(seed) {}

  void run(int steps) {
    for (uint32_t band = 0; band < kBands; ++band) tell_band(band);
    for (int i = 0; i < steps; ++i) step();
  }

  Model model;
  DecisionChecker checker;

 private:
  uint32_t any(uint32_t n) { return random_() % n; }

  void tell(const LogRecord& r) {
    model.apply(r);
    checker.write(r);
  }

  void tell_band(uint32_t band) {  // priorities stay apart, so that "the highest" is one
    const int64_t priority = static_cast<int64_t>(band) + (any(2) != 0 ? 0 : -100);
    tell({.kind = Kind::kBand, .band = band, .value = static_cast<uint64_t>(priority)});
  }

  LogRecord place(Kind kind, uint64_t seq) {
    return {.kind = kind,
            .seq = seq,
            .band = any(kBands),
            .flow = any(kFlows),
            .cls = any(kClasses),
            .key = any(4)};
  }

  // A request in the wanted state, or null.
  const Model::Request* some(bool parked) {
    std::vector<const Model::Request*> found;
    for (const auto& q : model.requests)
      if ((q.endpoint == kNone) == parked) found.push_back(&q);
    return found.empty() ? nullptr : found[any(static_cast<uint32_t>(found.size()))];
  }

  void step() {
    const uint32_t choice = any(100);
    const Model::Request* parked = some(true);
    const Model::Request* flying = some(false);
    if (choice < 25 && model.requests.size() < 25) {
      tell(place(Kind::kSubmit, ++seq_));
    } else if (choice < 45 && parked != nullptr) {
      tell({.kind = Kind::kDispatch,
            .seq = parked->seq,
            .endpoint = any(kEndpoints),
            .value = parked->attempts + 1});
    } else if (choice < 55 && flying != nullptr) {
      tell({.kind = Kind::kEnd, .seq = flying->seq, .outcome = Outcome::kCompleted});
    } else if (choice < 60 && parked != nullptr) {
      tell({.kind = Kind::kEnd, .seq = parked->seq, .outcome = Outcome::kExpired});
    } else if (choice < 65 && flying != nullptr) {
      tell({.kind = Kind::kRequeue, .seq = flying->seq, .cls = any(kClasses)});
    } else if (choice < 70 && !model.requests.empty()) {
      const uint32_t which = any(static_cast<uint32_t>(model.requests.size()));
      tell(place(Kind::kMove, model.requests[which].seq));
    } else if (choice < 78) {
      tell({.kind = Kind::kEndpoint,
            .endpoint = any(kEndpoints),
            .value = any(5) == 0 ? kNone : any(4),
            .flag = any(4) != 0});
    } else if (choice < 83) {
      std::vector<uint32_t> members;
      for (uint32_t n = any(4); n != 0; --n) members.push_back(any(kEndpoints));
      tell({.kind = Kind::kClass, .cls = any(kClasses), .members = &members});
    } else if (choice < 85) {
      tell_band(any(kBands));
    } else if (choice < 90) {
      tell({.kind = Kind::kIdle, .band = any(kBands)});
    } else {
      tell({.kind = Kind::kSettled});
    }
  }

  std::mt19937 random_;
  uint64_t seq_ = 0;
};

TEST(DecisionCheckerModel, CountsWhatAFullRecountCounts) {
  Counts sum;
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    RandomLog log(seed);
    log.run(400);
    const CheckReport& report = log.checker.report();
    Counts& expected = log.model.counts;
    for (const What what :
         {What::kLedger, What::kEligibility, What::kInversion, What::kOrder, What::kConservation}) {
      ASSERT_EQ(report.violations[static_cast<size_t>(what)], expected.violations[what])
          << to_string(what) << ", seed " << seed;
      sum.violations[what] += expected.violations[what];
    }
    ASSERT_EQ(report.contested, expected.contested) << "seed " << seed;
    ASSERT_EQ(report.excused, expected.excused) << "seed " << seed;
    ASSERT_EQ(report.parked + report.in_flight, log.model.requests.size());
    sum.excused += expected.excused;
  }
  for (const What what : {What::kEligibility, What::kInversion, What::kOrder, What::kConservation})
    EXPECT_GT(sum.violations[what], 300u) << to_string(what) << " was hardly tried";
  EXPECT_GT(sum.excused, 100u);
}

}  // namespace
}  // namespace sluice
