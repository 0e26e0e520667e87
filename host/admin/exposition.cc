#include "host/admin/exposition.h"

#include <algorithm>
#include <limits>
#include <map>

namespace sluice {
namespace {

using namespace metrics;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
double number(T value) {
  return static_cast<double>(value);
}

double age_seconds(TimeNs now, TimeNs then) {
  return then == kNever || then > now ? 0 : number(now - then) / 1e9;
}

void write_host(const AdminSnapshot& snapshot, Families& out) {
  out.add(kBuildInfo, {{"version", snapshot.version}}, 1);
  out.add(kReady, {}, snapshot.not_ready.empty() ? 1 : 0);
  out.add(kUptime, {}, number(snapshot.uptime_ns) / 1e9);
  out.add(kReloads, {{"result", "ok"}}, number(snapshot.reloads.good));
  out.add(kReloads, {{"result", "failed"}}, number(snapshot.reloads.bad));
  out.add(kHttpConnections, {}, number(snapshot.transports.http_connections));
  out.add(kExtProcStreams, {}, number(snapshot.transports.ext_proc_streams));
}

void write_bands(const AdminSnapshot& snapshot, Families& out) {
  for (const BandStats& band : snapshot.engine.bands) {
    const Labels labels = {{"band", fit_label(band.name)}};
    const Ledger& ledger = band.ledger;
    out.add(kSubmitted, labels, number(ledger.submitted));
    for (size_t i = 0; i < ledger.ended.size(); i++) {
      Labels ended = labels;
      ended.push_back({"outcome", to_string(static_cast<Outcome>(i))});
      out.add(kEnded, std::move(ended), number(ledger.ended[i]));
    }
    out.add(kDispatches, labels, number(ledger.dispatches));
    out.add(kRequeues, labels, number(ledger.requeues));
    out.add(kServedCost, labels, number(ledger.served_cost));
    out.add(kParked, labels, number(ledger.parked));
    out.add(kParkedBytes, labels, number(ledger.parked_bytes));
    out.add(kParkedCost, labels, number(ledger.parked_cost));
    out.add(kInFlight, labels, number(ledger.in_flight));
    out.add(kInFlightBytes, labels, number(ledger.in_flight_bytes));
    out.add(kInFlightCost, labels, number(ledger.in_flight_cost));
    out.add(kBandPriority, labels, band.priority);
    out.add(kFlows, labels, band.flows);
    out.add(kWaitingFlows, labels, band.waiting_flows);
    out.add(kDispatchRate, labels, band.dispatches_per_second);
    out.add(kOldestWait, labels, age_seconds(snapshot.now, band.oldest_arrival_ns));
  }
  const Stats& engine = snapshot.engine;
  for (const auto& [reason, count] : {std::pair{"hold", engine.passes_hold},
                                      {"idle", engine.passes_idle},
                                      {"ceiling", engine.passes_ceiling},
                                      {"size", engine.holds_size},
                                      {"better", engine.holds_better}})
    out.add(kHeldBack, {{"reason", reason}}, number(count));
}

struct FlowSums {
  double parked = 0, in_flight = 0, dispatches = 0, served_cost = 0, oldest_wait = 0;
};

void write_flows(const AdminSnapshot& snapshot, Families& out) {
  std::vector<const FlowStats*> order;
  for (const FlowStats& flow : snapshot.flows) order.push_back(&flow);
  const auto more = [](const FlowStats* a, const FlowStats* b) {
    const auto weight = [](const FlowStats* flow) {
      return std::tuple(uint64_t{flow->parked} + flow->in_flight, flow->dispatches);
    };
    return weight(a) != weight(b) ? weight(a) > weight(b)
                                  : std::tie(a->band, a->name) < std::tie(b->band, b->name);
  };
  const size_t shown = std::min(order.size(), kFlowsExposed);
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end(),
                    more);
  // Two names may become the same label; then they share a series.
  std::map<std::pair<uint32_t, std::string>, FlowSums> sums;
  for (size_t i = 0; i < order.size(); i++) {
    const FlowStats& flow = *order[i];
    const bool own = i < shown && !flow.overflow;
    FlowSums& sum = sums[{flow.band, own ? fit_label(flow.name) : kOther}];
    sum.parked += flow.parked;
    sum.in_flight += flow.in_flight;
    sum.dispatches += number(flow.dispatches);
    sum.served_cost += number(flow.served_cost);
    sum.oldest_wait = std::max(sum.oldest_wait, age_seconds(snapshot.now, flow.head_arrival_ns));
  }
  for (const Metric& metric :
       {kFlowParked, kFlowInFlight, kFlowDispatches, kFlowServedCost, kFlowOldestWait}) {
    out.declare(metric);
  }
  for (const auto& [key, sum] : sums) {
    const auto& [band, name] = key;
    if (band >= snapshot.engine.bands.size()) continue;
    const Labels labels = {{"band", fit_label(snapshot.engine.bands[band].name)}, {"flow", name}};
    out.add(kFlowParked, labels, sum.parked);
    out.add(kFlowInFlight, labels, sum.in_flight);
    out.add(kFlowDispatches, labels, sum.dispatches);
    out.add(kFlowServedCost, labels, sum.served_cost);
    out.add(kFlowOldestWait, labels, sum.oldest_wait);
  }
}

void write_scrapes(const EndpointStatus& endpoint, const Labels& labels, Families& out) {
  static constexpr std::array<const char*, ScrapeObserver::kMisses> kResults = {
      "no-connection", "broken", "bad-status", "unusable"};
  const auto add = [&](const char* result, uint64_t count) {
    Labels with_result = labels;
    with_result.push_back({"result", result});
    out.add(kEndpointScrapes, std::move(with_result), number(count));
  };
  add("ok", endpoint.scrapes_good);
  for (size_t i = 0; i < kResults.size(); i++) add(kResults[i], endpoint.scrapes_missed[i]);
}

void write_endpoints(const AdminSnapshot& snapshot, Families& out) {
  for (const Metric& metric :
       {kEndpointUp, kEndpointLimit, kEndpointLimitTokens, kEndpointInFlightTokens,
        kEndpointDoubted, kEndpointEarmarked, kEndpointInFlight, kEndpointInFlightCost,
        kEndpointDispatches, kEndpointPaused, kEndpointWaiting, kEndpointRunning, kEndpointKvUsed,
        kEndpointMetricsAge, kEndpointMetricsStale, kEndpointEjections, kEndpointScrapes,
        kEndpointMalformed}) {
    out.declare(metric);
  }
  std::map<uint32_t, const EndpointStats*> by_slot;
  for (const EndpointStats& stats : snapshot.engine.endpoints) by_slot[stats.slot] = &stats;
  std::array<double, 3> by_health{};
  for (const EndpointStatus& endpoint : snapshot.pool.endpoints) {
    by_health[static_cast<size_t>(endpoint.health)]++;
    const Labels labels = {{"endpoint", fit_label(endpoint.name)}};
    out.add(kEndpointUp, labels, endpoint.health == Health::State::kEjected ? 0 : 1);
    const bool scraped = endpoint.metrics_taken_ns != 0;
    out.add(kEndpointWaiting, labels, endpoint.waiting);
    out.add(kEndpointRunning, labels, endpoint.running);
    out.add(kEndpointKvUsed, labels, endpoint.kv_used);
    out.add(kEndpointMetricsAge, labels,
            scraped ? age_seconds(snapshot.now, endpoint.metrics_taken_ns) : kInfinity);
    out.add(kEndpointMetricsStale, labels, endpoint.metrics_stale ? 1 : 0);
    out.add(kEndpointEjections, labels, number(endpoint.ejections));
    out.add(kEndpointMalformed, labels, number(endpoint.malformed_lines));
    write_scrapes(endpoint, labels, out);
    auto it = by_slot.find(endpoint.slot);
    if (it == by_slot.end()) continue;
    const EndpointStats& stats = *it->second;
    out.add(kEndpointLimit, labels, stats.limit == kNone ? kInfinity : stats.limit);
    out.add(kEndpointLimitTokens, labels,
            stats.limit_tokens == 0 ? kInfinity : number(stats.limit_tokens));
    out.add(kEndpointInFlightTokens, labels, number(stats.in_flight_tokens));
    out.add(kEndpointDoubted, labels, stats.doubted ? 1 : 0);
    out.add(kEndpointEarmarked, labels, stats.earmarked ? 1 : 0);
    out.add(kEndpointInFlight, labels, stats.in_flight);
    out.add(kEndpointInFlightCost, labels, number(stats.in_flight_cost));
    out.add(kEndpointDispatches, labels, number(stats.dispatches));
    out.add(kEndpointPaused, labels, stats.paused_until_ns > snapshot.now ? 1 : 0);
  }
  out.add(kPoolEndpoints, {{"health", "up"}}, by_health[0]);
  out.add(kPoolEndpoints, {{"health", "probation"}}, by_health[1]);
  out.add(kPoolEndpoints, {{"health", "ejected"}}, by_health[2]);
  out.add(kPoolClasses, {}, number(snapshot.pool.classes));
  out.add(kPoolModelsLeftOut, {}, number(snapshot.pool.models_left_out));
  out.add(kPoolEndpointsLeftOut, {}, number(snapshot.pool.endpoints_left_out));
  out.add(kFileReads, {{"result", "ok"}}, number(snapshot.pool.file_reads_good));
  out.add(kFileReads, {{"result", "failed"}}, number(snapshot.pool.file_reads_bad));
}

void write_policies(const AdminSnapshot& snapshot, Families& out) {
  out.declare(kPolicyFaults);
  out.declare(kPolicyQuarantined);
  // A scorer may be named twice; its slots then share a series.
  std::map<std::tuple<std::string, std::string, std::string>, std::pair<double, double>> sums;
  for (const PolicyStats& policy : snapshot.engine.policies) {
    auto& [faults, quarantined] = sums[{policy.band, policy.kind, policy.name}];
    faults += number(policy.faults);
    quarantined = std::max(quarantined, policy.quarantined ? 1.0 : 0.0);
  }
  for (const auto& [key, sum] : sums) {
    const auto& [band, kind, name] = key;
    const Labels labels = {{"band", fit_label(band)}, {"kind", kind}, {"policy", fit_label(name)}};
    out.add(kPolicyFaults, labels, sum.first);
    out.add(kPolicyQuarantined, labels, sum.second);
  }
}

}  // namespace

void write_metrics(const AdminSnapshot& snapshot, Families& out) {
  write_host(snapshot, out);
  write_bands(snapshot, out);
  write_flows(snapshot, out);
  write_endpoints(snapshot, out);
  write_policies(snapshot, out);
}

}  // namespace sluice
