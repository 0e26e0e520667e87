#include "host/admin/status_json.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

Json milliseconds(TimeNs ns) { return static_cast<double>(ns) / 1e6; }

// How long ago, or null if never.
Json age(TimeNs now, TimeNs then) {
  if (then == kNever) return nullptr;
  return milliseconds(now > then ? now - then : 0);
}

Json limit_of(uint32_t limit) { return limit == kNone ? Json(nullptr) : Json(limit); }

Json ended(const Ledger& ledger) {
  Json out = Json::object();
  for (size_t i = 0; i < ledger.ended.size(); i++) {
    if (ledger.ended[i] != 0) out[to_string(static_cast<Outcome>(i))] = ledger.ended[i];
  }
  return out;
}

Json counts(const Ledger& ledger) {
  return {{"submitted", ledger.submitted},   {"parked", ledger.parked},
          {"in_flight", ledger.in_flight},   {"parked_bytes", ledger.parked_bytes},
          {"dispatches", ledger.dispatches}, {"requeues", ledger.requeues},
          {"ended", ended(ledger)}};
}

Json bands(const AdminSnapshot& snapshot) {
  Json out = Json::array();
  for (const BandStats& band : snapshot.engine.bands) {
    Json entry = {{"name", band.name}, {"priority", band.priority}};
    entry.update(counts(band.ledger));
    entry["flows"] = band.flows;
    entry["waiting_flows"] = band.waiting_flows;
    entry["dispatches_per_second"] = band.dispatches_per_second;
    entry["oldest_wait_ms"] = age(snapshot.now, band.oldest_arrival_ns);
    out.push_back(std::move(entry));
  }
  return out;
}

Json flows(const AdminSnapshot& snapshot) {
  std::vector<const FlowStats*> order;
  for (const FlowStats& flow : snapshot.flows) order.push_back(&flow);
  const size_t shown = std::min(order.size(), kFlowsInStatus);
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(shown), order.end(),
                    [](const FlowStats* a, const FlowStats* b) {
                      if (a->parked != b->parked) return a->parked > b->parked;
                      if (a->in_flight != b->in_flight) return a->in_flight > b->in_flight;
                      return std::tie(a->band, a->name) < std::tie(b->band, b->name);
                    });
  Json top = Json::array();
  for (size_t i = 0; i < shown; i++) {
    const FlowStats& flow = *order[i];
    const bool known = flow.band < snapshot.engine.bands.size();
    top.push_back({{"band", known ? Json(snapshot.engine.bands[flow.band].name) : Json(nullptr)},
                   {"name", flow.name},
                   {"overflow", flow.overflow},
                   {"weight", flow.weight_milli / 1000.0},
                   {"parked", flow.parked},
                   {"in_flight", flow.in_flight},
                   {"parked_bytes", flow.parked_bytes},
                   {"served_cost", flow.served_cost},
                   {"dispatches", flow.dispatches},
                   {"oldest_wait_ms", age(snapshot.now, flow.head_arrival_ns)}});
  }
  return {{"count", snapshot.flows.size()}, {"top", std::move(top)}};
}

const char* to_text(Health::State health) {
  switch (health) {
    case Health::State::kUp:
      return "up";
    case Health::State::kProbation:
      return "probation";
    case Health::State::kEjected:
      break;
  }
  return "ejected";
}

Json load(const AdminSnapshot& snapshot, const EndpointStatus& endpoint) {
  if (endpoint.metrics_taken_ns == 0) return nullptr;
  return {{"age_ms", age(snapshot.now, endpoint.metrics_taken_ns)},
          {"stale", endpoint.metrics_stale},
          {"waiting", endpoint.waiting},
          {"running", endpoint.running},
          {"kv_used", endpoint.kv_used}};
}

Json endpoints(const AdminSnapshot& snapshot) {
  std::map<uint32_t, const EndpointStats*> by_slot;
  for (const EndpointStats& stats : snapshot.engine.endpoints) by_slot[stats.slot] = &stats;
  Json out = Json::array();
  for (const EndpointStatus& endpoint : snapshot.pool.endpoints) {
    Json entry = {{"slot", endpoint.slot},
                  {"name", endpoint.name},
                  {"address", endpoint.address},
                  {"labels", endpoint.labels},
                  {"health", to_text(endpoint.health)},
                  {"failures", endpoint.failures},
                  {"ejections", endpoint.ejections}};
    entry["mode"] = endpoint.limits.learn ? "auto" : "fixed";
    entry["limit"] = limit_of(endpoint.limits.requests);
    if (auto it = by_slot.find(endpoint.slot); it != by_slot.end()) {
      const EndpointStats& stats = *it->second;
      entry["limit"] = limit_of(stats.limit);
      entry["limit_tokens"] = stats.limit_tokens == 0 ? Json(nullptr) : Json(stats.limit_tokens);
      entry["in_flight"] = stats.in_flight;
      entry["in_flight_tokens"] = stats.in_flight_tokens;
      if (stats.limit_prefill_tokens != 0) {
        entry["limit_prefill_tokens"] = stats.limit_prefill_tokens;
        entry["prefill_tokens"] = stats.prefill_tokens;
      }
      entry["metrics_doubted"] = stats.doubted;
      entry["in_flight_cost"] = stats.in_flight_cost;
      entry["dispatches"] = stats.dispatches;
      entry["paused_ms"] = milliseconds(
          stats.paused_until_ns > snapshot.now ? stats.paused_until_ns - snapshot.now : 0);
      by_slot.erase(it);
    }
    entry["models"] = endpoint.models_known ? Json(endpoint.models) : Json(nullptr);
    entry["metrics"] = load(snapshot, endpoint);
    out.push_back(std::move(entry));
  }
  // Removed ones whose last requests are still there.
  for (const auto& [slot, stats] : by_slot) {
    out.push_back({{"slot", slot},
                   {"name", nullptr},
                   {"health", "removed"},
                   {"in_flight", stats->in_flight}});
  }
  return out;
}

Json policies(const AdminSnapshot& snapshot) {
  Json out = Json::array();
  for (const PolicyStats& policy : snapshot.engine.policies) {
    out.push_back({{"band", policy.band},
                   {"kind", policy.kind},
                   {"name", policy.name},
                   {"faults", policy.faults},
                   {"quarantined", policy.quarantined},
                   {"last_fault", policy.last_fault}});
  }
  return out;
}

}  // namespace

std::string status_json(const AdminSnapshot& snapshot) {
  Json out;
  out["version"] = snapshot.version;
  out["ready"] = snapshot.not_ready.empty();
  out["not_ready"] = snapshot.not_ready;
  out["uptime_seconds"] = static_cast<double>(snapshot.uptime_ns) / 1e9;
  out["reloads"] = {{"ok", snapshot.reloads.good},
                    {"failed", snapshot.reloads.bad},
                    {"last_error", snapshot.reloads.last_error}};
  out["requests"] = counts(snapshot.engine.total);
  out["bands"] = bands(snapshot);
  out["flows"] = flows(snapshot);
  out["endpoints"] = endpoints(snapshot);
  out["policies"] = policies(snapshot);
  out["pool"] = {
      {"classes", snapshot.pool.classes},
      {"models_left_out", snapshot.pool.models_left_out},
      {"endpoints_left_out", snapshot.pool.endpoints_left_out},
      {"endpoints_file_reads",
       {{"ok", snapshot.pool.file_reads_good}, {"failed", snapshot.pool.file_reads_bad}}}};
  // Clients choose flow names: what is not UTF-8 is replaced, not thrown at the reader.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice
