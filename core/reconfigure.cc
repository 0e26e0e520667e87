#include <algorithm>
#include <utility>

#include "core/engine_impl.h"

namespace sluice {
namespace {

template <typename T>
uint32_t index_of_name(const std::vector<T>& list, const std::string& name) {
  const auto it = std::ranges::find(list, name, &T::name);
  return it == list.end() ? kNone : static_cast<uint32_t>(it - list.begin());
}

}  // namespace

// The policies of one band, with states of their own, ready to take over. What is not `replaced`
// goes on as it is.
struct Engine::Impl::BandPolicies {
  PolicySlot ordering, fairness;
  std::vector<PolicySlot> eviction;
  bool ordering_replaced = false, fairness_replaced = false;
  uint32_t flow_slots = 0;
};

Result<Engine::Impl::BandPolicies> Engine::Impl::open_policies(const Pipeline& next, uint32_t rank,
                                                               const Band* current) {
  const BandConfig& config = next.bands[rank];
  BandPolicies result;
  result.flow_slots =
      std::max(flow_slots(next), current != nullptr ? current->flows.capacity() : 0);
  const bool resized = current == nullptr || current->flows.capacity() != result.flow_slots;
  const auto scope_of = [&](uint32_t of_rank) {
    return sluice_scope{.struct_size = sizeof(sluice_scope),
                        .flow_slots = result.flow_slots,
                        .endpoint_slots = kEndpointsMax,
                        .band_rank = of_rank,
                        .now_ns = now_ns,
                        .seed = Random::mix(seed + of_rank),
                        .name = next.bands[of_rank].name.c_str()};
  };
  const auto open = [&](PolicySlot& slot, bool& replaced, const PolicyPtr& policy,
                        const PolicySlot* running, const char* id) -> Result<void> {
    replaced = resized || running->policy() != policy;
    if (!replaced) return {};
    Result<PolicySlot> opened = PolicySlot::open(policy, id, scope_of(rank));
    if (!opened) return Error{"band '" + config.name + "': " + opened.error()};
    slot = std::move(*opened);
    return {};
  };
  const PolicySlot* ordering = current != nullptr ? &current->ordering : nullptr;
  const PolicySlot* fairness = current != nullptr ? &current->fairness : nullptr;
  if (auto r = open(result.ordering, result.ordering_replaced, config.ordering, ordering,
                    SLUICE_ORDERING_ID);
      !r)
    return Error{r.error()};
  if (auto r = open(result.fairness, result.fairness_replaced, config.fairness, fairness,
                    SLUICE_FAIRNESS_ID);
      !r)
    return Error{r.error()};
  // Which bands may give way to this one can have changed with any reload, so eviction always
  // starts afresh.
  for (uint32_t victim = rank; victim < next.bands.size(); ++victim) {
    Result<PolicySlot> opened =
        PolicySlot::open(config.eviction, SLUICE_EVICTION_ID, scope_of(victim));
    if (!opened) return Error{"band '" + config.name + "': " + opened.error()};
    result.eviction.push_back(std::move(*opened));
  }
  return result;
}

Result<void> Engine::Impl::reconfigure(Pipeline next) {
  if (next.bands.empty() || next.bands.size() > kBandsMax || next.scorers.size() > kScorersMax)
    return Error{"a pipeline has 1 to 64 bands and at most 32 scoring policies"};
  const auto running = [&](const std::string& name) -> Band* {
    for (auto& band : bands)
      if (band->config.name == name) return band.get();
    return nullptr;
  };

  // Everything that can fail comes first and touches nothing that runs.
  std::vector<BandPolicies> policies;
  for (uint32_t rank = 0; rank < next.bands.size(); ++rank) {
    Result<BandPolicies> opened = open_policies(next, rank, running(next.bands[rank].name));
    if (!opened) return Error{opened.error()};
    policies.push_back(std::move(*opened));
  }
  std::vector<Scorer> next_scorers;
  for (const ScorerConfig& config : next.scorers) {
    const sluice_scope scope{.struct_size = sizeof(sluice_scope),
                             .flow_slots = 0,
                             .endpoint_slots = kEndpointsMax,
                             .band_rank = SLUICE_NONE,
                             .now_ns = now_ns,
                             .seed = Random::mix(seed + 1000),
                             .name = "pool"};
    Result<PolicySlot> opened = PolicySlot::open(config.policy, SLUICE_SCORING_ID, scope);
    if (!opened) return Error{"scoring: " + opened.error()};
    next_scorers.push_back({std::move(*opened), config.weight});
  }

  // From here on nothing fails.
  for (auto& band : bands) flush(*band);
  flush_scorers();
  remember_generation(next);
  std::vector<std::unique_ptr<Band>> before = std::exchange(bands, {});
  const std::vector<TenantConfig> tenants_before = std::move(pipeline.tenants);
  pipeline = std::move(next);
  endpoints.absent_changed();

  for (uint32_t rank = 0; rank < pipeline.bands.size(); ++rank) {
    const auto old = std::ranges::find_if(before, [&](const auto& band) {
      return band && band->config.name == pipeline.bands[rank].name;
    });
    bands.push_back(old != before.end()
                        ? std::move(*old)
                        : std::make_unique<Band>(pipeline.bands[rank], rank, next_log_id++,
                                                 policies[rank].flow_slots));
    bands[rank]->config = pipeline.bands[rank];
  }
  // Bands that are gone stand behind the others until what they hold has moved.
  for (auto& band : before)
    if (band) bands.push_back(std::move(band));
  const uint32_t kept = static_cast<uint32_t>(pipeline.bands.size());
  for (uint32_t rank = 0; rank < bands.size(); ++rank) {
    bands[rank]->rank = rank;
    bands[rank]->flows.set_band(rank);
    bands[rank]->event_mask = 0;
    bands[rank]->ask_again_ns = kNever;
  }
  retarget_tenants(tenants_before);
  for (uint32_t rank = 0; rank < kept; ++rank) install(*bands[rank], std::move(policies[rank]));
  for (uint32_t rank = 0; rank < kept; ++rank) refresh_event_mask(*bands[rank]);
  move_requests(kept);
  bands.resize(kept);

  for (uint32_t i = 0; i < next_scorers.size() && i < scorers.size(); ++i)
    if (scorers[i].slot.policy() == next_scorers[i].slot.policy())
      std::swap(scorers[i].slot, next_scorers[i].slot);
  scorers = std::move(next_scorers);
  scorer_event_mask = 0;
  wants_prefix = false;
  for (const Scorer& scorer : scorers) {
    scorer_event_mask |= scorer.slot.events();
    wants_prefix |= scorer.slot.wants_prefix();
  }
  return {};
}

// Requests that were classified by an older pipeline are still on their way: keep a translation of
// its numbers.
void Engine::Impl::remember_generation(const Pipeline& next) {
  constexpr size_t kGenerationsKept = 4;
  Generation current{.number = pipeline.generation, .bands = {}, .tenants = {}};
  for (const auto& band : bands) {
    const uint32_t to = index_of_name(next.bands, band->config.name);
    current.bands.push_back(to != kNone ? to : next.default_band);
  }
  for (const TenantConfig& tenant : pipeline.tenants)
    current.tenants.push_back(index_of_name(next.tenants, tenant.name));
  for (Generation& past : generations) {
    for (uint32_t& band : past.bands) band = current.bands[band];
    for (uint32_t& tenant : past.tenants)
      if (tenant != kNone) tenant = current.tenants[tenant];
  }
  if (generations.size() == kGenerationsKept) generations.erase(generations.begin());
  generations.push_back(std::move(current));
}

void Engine::Impl::retarget_tenants(const std::vector<TenantConfig>& before) {
  tenant_parked.assign(pipeline.tenants.size(), 0);
  for (auto& band : bands) {
    band->plain_flows = 0;
    band->flows.for_each([&](Flow& flow) {
      if (flow.tenant != kNone)
        flow.tenant = index_of_name(pipeline.tenants, before[flow.tenant].name);
      if (flow.tenant != kNone) tenant_parked[flow.tenant] += flow.parked.size();
      if (flow.tenant == kNone && flow.slot != FlowTable::kOverflowSlot) ++band->plain_flows;
    });
  }
}

void Engine::Impl::install(Band& band, BandPolicies policies) {
  band.flows.set_capacity(policies.flow_slots);
  log({.kind = LogRecord::Kind::kBand,
       .band = band.log_id,
       .value = static_cast<uint64_t>(static_cast<int64_t>(band.config.priority)),
       .flag = band.config.hold_when_blocked,
       .name = band.config.name});
  const sluice_flows& flows = band.flows.view(now_ns);
  if (policies.ordering_replaced) {
    band.ordering = std::move(policies.ordering);
    const auto* v = static_cast<const sluice_ordering_v1*>(band.ordering.vtable());
    if (v != nullptr && v->observe != nullptr)
      introduce(band, band.ordering, [&](const sluice_events& ev) {
        v->observe(band.ordering.object(), band.ordering.state(), &ev);
      });
    rekey(band);
  }
  if (policies.fairness_replaced) {
    band.fairness = std::move(policies.fairness);
    ++band.fairness_epoch;
    const auto* v = static_cast<const sluice_fairness_v1*>(band.fairness.vtable());
    if (v != nullptr && v->observe != nullptr)
      introduce(band, band.fairness, [&](const sluice_events& ev) {
        v->observe(band.fairness.object(), band.fairness.state(), &flows, &ev);
      });
  }
  band.eviction = std::move(policies.eviction);
}

// A new state is told of the flows that it finds; what they have been served stands in served_cost.
template <typename Observe>
void Engine::Impl::introduce(Band& band, PolicySlot& slot, Observe&& observe) {
  std::vector<sluice_event> found;
  const auto say = [&](uint32_t type, const Flow& flow) {
    found.push_back({.type = type,
                     .slot = flow.slot,
                     .time_ns = now_ns,
                     .endpoint = SLUICE_NONE,
                     .band_rank = band.rank});
  };
  band.flows.for_each([&](Flow& flow) {
    say(SLUICE_EV_FLOW_ADDED, flow);
    if (flow.parked.empty()) return;
    say(SLUICE_EV_WAITING, flow);
    if (flow.blocked) say(SLUICE_EV_BLOCKED, flow);
  });
  const sluice_events wanted = filter_events(found, slot.events(), event_scratch);
  for (uint32_t at = 0; at < wanted.count; at += kEventBatchMax) {
    const sluice_events batch{sizeof(sluice_events), std::min(kEventBatchMax, wanted.count - at),
                              wanted.row + at};
    try {
      observe(batch);
    } catch (...) {
      slot.fault(now_ns, "observe threw an exception");
    }
  }
}

void Engine::Impl::rekey(Band& band) {
  band.flows.for_each([&](Flow& flow) {
    if (flow.parked.empty()) return;
    const Request* old_head = flow.head();
    for (Request* r = flow.oldest; r != nullptr; r = r->newer) {
      r->key = key_of(band, *r);
      log_request(LogRecord::Kind::kMove, *r);
    }
    band.flows.rekeyed(&flow);
    head_changed(band, &flow, old_head);
  });
}

// Whatever belongs to a band of rank KEPT or more goes to the default band, in order of arrival.
void Engine::Impl::move_requests(uint32_t kept) {
  std::vector<Request*> moving;
  requests.for_each([&](Request& r) {
    if (r.flow->band >= kept) moving.push_back(&r);
  });
  std::ranges::sort(moving, {}, [](const Request* r) { return r->id.seq; });
  Band& to = *bands[pipeline.default_band];
  for (Request* r : moving) {
    Band& from = band_of(*r);
    const Submission as_submitted{.flow = r->flow->name,
                                  .flow_hash = from.flows.hash(*r->flow),
                                  .tenant = r->flow->tenant,
                                  .weight_milli = from.flows.weight_milli(*r->flow)};
    Flow* flow = flow_for(to, as_submitted);
    if (r->state == Request::State::kParked) {
      unpark(r);
      r->flow = flow;
      park(r);
    } else {
      const int64_t charged = static_cast<int64_t>(r->charged);
      from.flows.in_flight(r->flow, -1, -charged);
      from.ledger.in_flight -= 1;
      from.ledger.in_flight_bytes -= r->bytes;
      from.ledger.in_flight_cost -= r->charged;
      r->flow = flow;
      r->fairness_epoch = to.fairness_epoch - 1;  // charged to a state that is gone
      to.flows.in_flight(flow, 1, charged);
      to.flows.charge(flow, charged);
      to.ledger.in_flight += 1;
      to.ledger.in_flight_bytes += r->bytes;
      to.ledger.in_flight_cost += r->charged;
    }
    log_request(LogRecord::Kind::kMove, *r);
    --from.ledger.submitted;
    ++to.ledger.submitted;
  }
}

}  // namespace sluice
