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

// What takes a policy slot over: the slot that has it now, or a state of its own.
struct Engine::Impl::NextSlot {
  PolicySlot* kept = nullptr;
  PolicySlot fresh;

  PolicySlot take() { return std::move(kept != nullptr ? *kept : fresh); }
};

// By rank, as in Band; scorers as in Pipeline.
struct Engine::Impl::NextPolicies {
  struct OfBand {
    uint32_t flow_slots = 0;
    NextSlot ordering, fairness;
    std::vector<NextSlot> eviction;
  };
  std::vector<OfBand> bands;
  std::vector<NextSlot> scorers;
};

// Makes every state that NEXT needs and no running slot has; touches nothing that runs.
Result<Engine::Impl::NextPolicies> Engine::Impl::open_policies(const Pipeline& next) {
  NextPolicies result;
  std::vector<Band*> running;
  for (const BandConfig& config : next.bands) {
    const auto it =
        std::ranges::find(bands, config.name, [](const auto& band) { return band->config.name; });
    running.push_back(it != bands.end() ? it->get() : nullptr);
    result.bands.emplace_back().flow_slots = std::max(
        flow_slots(next), running.back() != nullptr ? running.back()->flows.capacity() : 0);
  }
  sluice_scope scope{.struct_size = sizeof(sluice_scope),
                     .flow_slots = 0,
                     .endpoint_slots = kEndpointsMax,
                     .band_rank = 0,
                     .now_ns = now_ns,
                     .seed = 0,
                     .name = ""};  // the rest is of each band, and then of the pool
  const auto open = [&](NextSlot& slot, PolicySlot* kept, const PolicyPtr& policy,
                        const char* id) -> Result<void> {
    if (kept != nullptr && kept->policy() == policy) {
      slot.kept = kept;
      return {};
    }
    Result<PolicySlot> opened = PolicySlot::open(policy, id, scope, epoch + 1);
    if (!opened) return Error{opened.error()};
    slot.fresh = std::move(*opened);
    return {};
  };

  for (uint32_t rank = 0; rank < next.bands.size(); ++rank) {
    const BandConfig& config = next.bands[rank];
    Band* own = running[rank];
    NextPolicies::OfBand& of_band = result.bands[rank];
    // A state knows the slots of one band: it goes on only while their number is the same.
    const auto look_at = [&](uint32_t band) {
      scope.flow_slots = result.bands[band].flow_slots;
      scope.band_rank = band;
      scope.seed = Random::mix(seed + band);
      scope.name = next.bands[band].name.c_str();
      return running[band] != nullptr && running[band]->flows.capacity() == scope.flow_slots;
    };
    const bool same = look_at(rank);
    Result<void> opened = open(of_band.ordering, same ? &own->ordering : nullptr, config.ordering,
                               SLUICE_ORDERING_ID);
    if (opened)
      opened = open(of_band.fairness, same ? &own->fairness : nullptr, config.fairness,
                    SLUICE_FAIRNESS_ID);
    of_band.eviction.resize(next.bands.size() - rank);
    for (uint32_t victim = rank; victim < next.bands.size() && opened; ++victim) {
      PolicySlot* kept = nullptr;
      if (look_at(victim) && own != nullptr && running[victim]->rank >= own->rank)
        kept = &own->eviction[running[victim]->rank - own->rank];
      opened = open(of_band.eviction[victim - rank], kept, config.eviction, SLUICE_EVICTION_ID);
    }
    if (!opened) return Error{"band '" + config.name + "': " + opened.error()};
  }

  scope.flow_slots = 0;
  scope.band_rank = SLUICE_NONE;
  scope.seed = Random::mix(seed + 1000);
  scope.name = "pool";
  for (const ScorerConfig& config : next.scorers) {
    PolicySlot* kept = nullptr;
    for (Scorer& scorer : scorers) {
      const bool taken = std::ranges::count(result.scorers, &scorer.slot, &NextSlot::kept) != 0;
      if (!taken && scorer.slot.policy() == config.policy) kept = &scorer.slot;
    }
    if (Result<void> opened =
            open(result.scorers.emplace_back(), kept, config.policy, SLUICE_SCORING_ID);
        !opened)
      return Error{"scoring: " + opened.error()};
  }
  return result;
}

Result<void> Engine::Impl::reconfigure(Pipeline next) {
  if (next.bands.empty() || next.bands.size() > kBandsMax || next.scorers.size() > kScorersMax)
    return Error{"a pipeline has 1 to 64 bands and at most 32 scoring policies"};
  Result<NextPolicies> policies = open_policies(next);
  if (!policies) return Error{policies.error()};

  // From here on nothing fails.
  unhold_all();
  for (auto& band : bands) flush(*band);
  flush_scorers();
  ++epoch;
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
                                                 policies->bands[rank].flow_slots));
    bands[rank]->config = pipeline.bands[rank];
  }
  // Bands that are gone stand behind the others, heard by nobody, until what they hold has moved.
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
  install(std::move(*policies));
  move_requests(kept);
  bands.resize(kept);
  return {};
}

// Requests that were classified by an older pipeline are still on their way: keep a translation of
// its numbers.
void Engine::Impl::remember_generation(const Pipeline& next) {
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
    std::vector<Flow*> idle;
    band->flows.for_each([&](Flow& flow) {
      if (flow.idle) idle.push_back(&flow);
      band->flows.set_busy(&flow);
      if (flow.tenant != kNone)
        flow.tenant = index_of_name(pipeline.tenants, before[flow.tenant].name);
      if (flow.tenant != kNone) tenant_parked[flow.tenant] += flow.parked.size();
      if (flow.tenant == kNone && flow.slot != FlowTable::kOverflowSlot) ++band->plain_flows;
    });
    std::ranges::sort(idle, {}, &Flow::idle_since);
    for (Flow* flow : idle) band->flows.set_idle(flow, flow->idle_since);
  }
}

// Puts all policies in place before any of them hears of anything.
void Engine::Impl::install(NextPolicies next) {
  const uint32_t count = static_cast<uint32_t>(next.bands.size());
  for (uint32_t rank = 0; rank < count; ++rank) {
    Band& band = *bands[rank];
    NextPolicies::OfBand& of_band = next.bands[rank];
    band.flows.set_capacity(of_band.flow_slots);
    band.ordering = of_band.ordering.take();
    band.fairness = of_band.fairness.take();
    std::vector<PolicySlot> eviction;
    for (NextSlot& slot : of_band.eviction) eviction.push_back(slot.take());
    band.eviction = std::move(eviction);
    log({.kind = LogRecord::Kind::kBand,
         .band = band.log_id,
         .value = static_cast<uint64_t>(static_cast<int64_t>(band.config.priority)),
         .flag = band.config.hold_when_blocked,
         .name = band.config.name});
  }
  std::vector<Scorer> next_scorers;
  for (size_t i = 0; i < next.scorers.size(); ++i)
    next_scorers.push_back({next.scorers[i].take(), pipeline.scorers[i].weight});
  scorers = std::move(next_scorers);
  scorer_event_mask = 0;
  wants_prefix = false;
  for (const Scorer& scorer : scorers) {
    scorer_event_mask |= scorer.slot.events();
    wants_prefix |= scorer.slot.wants_prefix();
  }

  for (uint32_t rank = 0; rank < count; ++rank) refresh_event_mask(*bands[rank]);
  for (uint32_t rank = 0; rank < count; ++rank) {
    Band& band = *bands[rank];
    introduce(band, band.ordering);
    introduce(band, band.fairness);
    for (uint32_t above = 0; above <= rank; ++above)
      introduce(band, bands[above]->eviction[rank - above]);
    if (next.bands[rank].ordering.kept == nullptr) rekey(band);
  }
}

// A new state is told of the flows of BAND that it finds; what they have been served stands in
// served_cost.
void Engine::Impl::introduce(Band& band, PolicySlot& slot) {
  if (slot.events() == 0 || slot.epoch() != epoch) return;
  std::vector<ToldEvent> found;
  const auto say = [&](uint32_t type, const Flow& flow) {
    found.push_back({.event = {.type = type,
                               .slot = flow.slot,
                               .time_ns = now_ns,
                               .endpoint = SLUICE_NONE,
                               .band_rank = band.rank},
                     .epoch = kNow});
  };
  band.flows.for_each([&](Flow& flow) {
    say(SLUICE_EV_FLOW_ADDED, flow);
    if (flow.parked.empty()) return;
    say(SLUICE_EV_WAITING, flow);
    if (flow.blocked) say(SLUICE_EV_BLOCKED, flow);
  });
  const sluice_events wanted = events_for(slot, found, event_scratch);
  for (uint32_t at = 0; at < wanted.count; at += kEventBatchMax)
    observe(band, slot,
            {sizeof(sluice_events), std::min(kEventBatchMax, wanted.count - at), wanted.row + at});
}

void Engine::Impl::rekey(Band& band) {
  band.keyed = band.ordering.active();
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
    const bool overflow = r->flow->slot == FlowTable::kOverflowSlot;
    const Submission as_submitted{.flow = r->flow->name,
                                  .flow_hash = from.flows.hash(*r->flow),
                                  .tenant = r->flow->tenant,
                                  .weight_milli = from.flows.weight_milli(*r->flow)};
    Flow* flow = overflow ? overflow_of(to) : flow_for(to, as_submitted);
    if (r->state == Request::State::kParked) {
      unpark(r);
      r->flow = flow;
      park(r);
    } else {
      const int64_t charged = static_cast<int64_t>(r->charged);
      from.flows.in_flight(r->flow, -1, -charged);
      in_flight_changes(from.ledger, *r, -1);
      r->flow = flow;
      r->moved = true;
      to.flows.in_flight(flow, 1, charged);
      to.flows.charge(flow, charged);
      in_flight_changes(to.ledger, *r, 1);
      to.ledger.served_cost += r->charged;
    }
    log_request(LogRecord::Kind::kMove, *r);
    --from.ledger.submitted;
    ++to.ledger.submitted;
  }
}

}  // namespace sluice
