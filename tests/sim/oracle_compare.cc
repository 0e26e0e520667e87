// The engine's own figures beside the oracle's.
#include <algorithm>
#include <utility>

#include "core/limits.h"
#include "tests/sim/oracle.h"

namespace sluice::sim {

void Oracle::compare(const Engine& engine) {
  const Stats stats = engine.stats();
  const auto same = [&](const std::string& what, uint64_t mine, uint64_t theirs) {
    if (mine != theirs) fail(what, ": ", mine, " by the oracle, ", theirs, " by the engine");
  };
  same("submitted", requests_.size(), stats.total.submitted);
  same("parked", parked_, stats.total.parked);
  same("bytes parked", bytes_, stats.total.parked_bytes);
  same("in flight", in_flight_.size(), stats.total.in_flight);
  same("dispatches", dispatches_, stats.total.dispatches);
  same("requeues", requeues_, stats.total.requeues);
  for (size_t i = 0; i < kOutcomes; ++i)
    same(to_string(static_cast<Outcome>(i)), outcomes_[i], stats.total.ended[i]);
  for (const BandStats& theirs : stats.bands) {
    const Band& mine = bands_[index_of(kBandNames, theirs.name)];
    same(theirs.name + ": parked", mine.parked, theirs.ledger.parked);
    same(theirs.name + ": bytes parked", mine.bytes, theirs.ledger.parked_bytes);
    same(theirs.name + ": in flight", mine.in_flight, theirs.ledger.in_flight);
  }
  uint32_t up = 0;
  for (const EndpointStats& theirs : stats.endpoints) {
    Slot& mine = slots_[theirs.slot];
    const std::string name = "endpoint " + std::to_string(theirs.slot);
    if (theirs.up) up |= bit(theirs.slot);
    same(name + ": in flight", mine.in_flight, theirs.in_flight);
    if (mine.exists)
      same(name + ": left alone", left_alone(theirs.slot), theirs.paused_until_ns != 0);
    if (mine.may_not_fall && theirs.limit < mine.limit_seen)
      fail(name, ": its limit fell from ", mine.limit_seen, " to ", theirs.limit, " for nothing");
    mine.limit_seen = theirs.limit;
    if (!options_.guesses) same(name + ": tokens", mine.tokens, theirs.in_flight_tokens);
  }
  same("endpoints that are up", up_, up);
  TimeNs next = kNever;
  for (const Band& band : bands_) {
    for (const auto& flow : band.flows) {
      for (const uint64_t seq : flow) {
        const TimeNs at = due(requests_[seq - 1]);
        if (at <= now_) fail("#", seq, " has outlived its deadline");
        next = std::min(next, at);
      }
    }
  }
  if (engine.next_deadline() > next) fail("the next deadline would be missed");
  compare_faults(stats.policies);
  if (options_.books != nullptr) compare_charges(engine, stats);
}

// Who answers wrongly too often must be in quarantine. An eviction policy has several states, which
// are not told apart here; and when a fault was is known only if each call is compared.
void Oracle::compare_faults(const std::vector<PolicyStats>& policies) {
  const bool in_time = std::exchange(compared_, calls_) + 1 == calls_;
  for (const PolicyStats& policy : policies) {
    if (policy.kind == "eviction" || policy.kind == "scoring") continue;
    Faults& faults = faults_[policy.band + " " + policy.kind + " " + policy.name];
    if (!in_time) faults = {.seen = policy.faults, .recent = {}};
    if (policy.faults < faults.seen) faults = {};  // a new state
    for (; faults.seen < policy.faults; ++faults.seen) faults.recent.push_back(now_);
    if (policy.quarantined) faults.recent.clear();
    while (!faults.recent.empty() && faults.recent.front() + kFaultWindowNs < now_)
      faults.recent.pop_front();
    if (faults.recent.size() >= kFaultsMax)
      fail(policy.name, " failed ", faults.recent.size(), " times and is not in quarantine");
  }
}

void Oracle::compare_charges(const Engine& engine, const Stats& stats) {
  const Bookkeeper& books = *options_.books;
  const auto same = [&](const std::string& what, int64_t mine, uint64_t theirs) {
    if (mine != static_cast<int64_t>(theirs))
      fail(what, ": ", mine, " by the books, ", theirs, " by the engine");
  };
  same("cost served", books.total(), stats.total.served_cost);
  int64_t in_flight = 0;
  std::array<int64_t, kSlots> at_slot{};
  auto of_flow = served_;
  std::array<std::array<int64_t, kFlows>, kBands> in_flight_of{};
  for (const RequestId id : in_flight_) {
    const Request& r = *find(id);
    const int64_t charged = books.charged(id.seq);
    in_flight += charged;
    at_slot[r.endpoint] += charged;
    of_flow[r.band][r.flow] += charged;
    in_flight_of[r.band][r.flow] += charged;
  }
  same("cost in flight", in_flight, stats.total.in_flight_cost);
  for (const EndpointStats& endpoint : stats.endpoints)
    same("endpoint " + std::to_string(endpoint.slot) + ": cost in flight", at_slot[endpoint.slot],
         endpoint.in_flight_cost);
  if (options_.overflow) return;
  for (const FlowStats& flow : engine.flow_stats()) {
    const uint32_t band = ranks_[flow.band];
    const auto number = static_cast<size_t>(flow.name.back() - '0');
    same(flow.name + ": cost in flight", in_flight_of[band][number], flow.in_flight_cost);
    if (!options_.forgets)
      same(flow.name + ": cost served", of_flow[band][number], flow.served_cost);
  }
}

// Nothing may be left of anything.
void Oracle::over(const Engine& engine) {
  const Stats stats = engine.stats();
  if (parked_ != 0 || !in_flight_.empty()) fail("not everything has ended");
  const Ledger& l = stats.total;
  uint64_t ended = 0;
  for (const uint64_t n : l.ended) ended += n;
  if (ended != l.submitted) fail("of ", l.submitted, " requests ", ended, " have ended");
  if ((l.parked | l.parked_bytes | l.parked_cost | l.in_flight | l.in_flight_bytes |
       l.in_flight_cost | l.in_flight_tokens) != 0)
    fail("the ledger holds something of what has ended");
  for (const BandStats& band : stats.bands)
    if (band.waiting_flows != 0) fail(band.name, ": a flow waits with nothing parked");
  for (uint32_t slot = 0; slot < kSlots; ++slot)
    if (!engine.endpoint_idle(slot)) fail("endpoint ", slot, " is not idle");
  for (const FlowStats& flow : engine.flow_stats())
    if (flow.parked != 0 || flow.in_flight != 0 || flow.in_flight_cost != 0)
      fail(flow.name, ": something is left in it");
}

}  // namespace sluice::sim
