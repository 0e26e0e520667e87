#include "host/pool/health.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

// The STREAK-th ejection in a row keeps an endpoint out this long.
TimeNs backoff(uint32_t streak) {
  return std::min(kBackoffMaxNs, kBackoffMinNs << std::min(streak - 1, 10u));
}

}  // namespace

bool Health::request_succeeded(TimeNs now) {
  request_failures_ = 0;
  connect_failures_ = 0;
  if (state_ == State::kEjected) return readmit(State::kUp, now);
  return std::exchange(state_, State::kUp) != State::kUp;
}

bool Health::request_failed(TimeNs now) {
  request_failures_ = std::min(request_failures_ + 1, kFailuresMax);
  return fail(now);
}

bool Health::connect_failed(TimeNs now) {
  connect_failures_ = std::min(connect_failures_ + 1, kFailuresMax);
  refused_since_ejected_ = true;
  return fail(now);
}

bool Health::connected(TimeNs now) {
  // Says nothing about requests, so their failures still count.
  connect_failures_ = 0;
  return probe_due(now) && readmit(State::kProbation, now);
}

bool Health::scraped(TimeNs now) {
  if (connected(now)) return true;
  return state_ == State::kEjected && refused_since_ejected_ && readmit(State::kProbation, now);
}

bool Health::probe_due(TimeNs now) const {
  return state_ == State::kEjected && now >= backoff_ends_;
}

bool Health::fail(TimeNs now) {
  if (state_ == State::kEjected) {
    // A probe that was due and failed waits for the next, longer backoff.
    if (now >= backoff_ends_) {
      streak_++;
      backoff_ends_ = now + backoff(streak_);
    }
    return false;
  }
  if (state_ == State::kUp && failures() < kFailuresMax) return false;
  bool soon = ejections_ > 0 && now < readmitted_at_ + kProbationNs;
  streak_ = soon ? streak_ + 1 : 1;
  state_ = State::kEjected;
  refused_since_ejected_ = connect_failures_ > 0;
  backoff_ends_ = now + backoff(streak_);
  ejections_++;
  return true;
}

bool Health::readmit(State state, TimeNs now) {
  state_ = state;
  request_failures_ = 0;
  connect_failures_ = 0;
  readmitted_at_ = now;
  return true;
}

}  // namespace sluice
