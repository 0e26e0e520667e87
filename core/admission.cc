#include <algorithm>

#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {
namespace {

uint64_t over(uint64_t value, uint64_t limit) {
  return limit != 0 && value > limit ? value - limit : 0;
}

}  // namespace

// NEWCOMER has just been parked and could not be dispatched. If it is one too many, somebody
// leaves.
void Engine::Impl::enforce_limits(Request* newcomer) {
  Band& band = band_of(*newcomer);
  const Flow& flow = *newcomer->flow;
  const BandConfig& limits = band.config;
  // A flow over its own limit gains nothing from giving up another of its requests: the newcomer
  // goes.
  const uint32_t uncounted = planted(Planted::kFlowLimitOffByOne) ? 1 : 0;
  const bool flow_full = over(flow.parked.size() - uncounted, limits.requests_per_flow_max) != 0;
  const bool tenant_full =
      flow.tenant != kNone &&
      over(tenant_parked[flow.tenant], pipeline.tenants[flow.tenant].requests_max) != 0;
  if (flow_full || tenant_full)
    return end_parked(newcomer, Outcome::kRejectedFull, Reason::kFlowFull, true);

  const bool requests_full = over(band.ledger.parked, limits.requests_max) != 0 ||
                             over(total.parked, pipeline.requests_max) != 0;
  const bool bytes_full = !planted(Planted::kBytesUnlimited) &&
                          (over(band.ledger.parked_bytes, limits.bytes_max) != 0 ||
                           over(total.parked_bytes, pipeline.bytes_max) != 0);
  if (!requests_full && !bytes_full) return;
  if (make_room(newcomer)) return;
  if (endpoints.any_up()) {
    end_parked(newcomer, Outcome::kRejectedFull,
               requests_full ? Reason::kQueueFull : Reason::kBytesFull, true);
  } else {
    end_parked(newcomer, Outcome::kRejectedNoEndpoint, Reason::kNone, true);
  }
}

// Evicts what the eviction policy of the newcomer's band chooses, lowest band first, until as much
// has left as the newcomer brought over a limit. If it does not choose enough, nobody is evicted
// and the answer is false.
bool Engine::Impl::make_room(Request* newcomer) {
  Band& band = band_of(*newcomer);
  // What is left of the newcomer's own part in what is over each limit, victims chosen so far taken
  // off. What was over before it came, since a limit was lowered, is not its to make good.
  const uint64_t bytes = newcomer->bytes;
  uint64_t band_requests =
      std::min<uint64_t>(over(band.ledger.parked, band.config.requests_max), 1);
  uint64_t band_bytes = std::min(over(band.ledger.parked_bytes, band.config.bytes_max), bytes);
  uint64_t host_requests = std::min<uint64_t>(over(total.parked, pipeline.requests_max), 1);
  uint64_t host_bytes = std::min(over(total.parked_bytes, pipeline.bytes_max), bytes);

  victims.clear();
  newcomer->doomed = true;  // it is no candidate for itself, and does not count as parked
  const auto set_aside = [&](Request* r, int sign) {
    band_of(*r).flows.pretend(r->flow->slot, sign, sign * static_cast<int64_t>(r->bytes),
                              sign * static_cast<int64_t>(r->cost));
  };
  set_aside(newcomer, -1);

  const auto choose_in = [&](Band& from) -> Request* {
    PolicySlot& policy =
        band.eviction[planted(Planted::kEvictsUpwards) ? 0 : from.rank - band.rank];
    if (!policy.active() || from.ledger.parked == 0) return nullptr;
    flush(from);
    const auto* vtable = static_cast<const sluice_eviction_v1*>(policy.vtable());
    newcomer_row.clear();
    newcomer_row.add(*newcomer, band.flows.hash(*newcomer->flow), band.config.priority, 0);
    const sluice_band view = band_view(from);
    const sluice_need need{
        .struct_size = sizeof(sluice_need),
        .reason = band_requests + host_requests != 0 ? SLUICE_NEED_REQUESTS : SLUICE_NEED_BYTES,
        .requests = static_cast<uint32_t>(std::max(band_requests, host_requests)),
        .newcomer_rank = band.rank,
        .bytes = std::max(band_bytes, host_bytes),
        .newcomer_slot = newcomer->flow->slot,
        .reserved = 0,
        .newcomer = &newcomer_row.view(policy.wants_prefix())};
    const sluice_flows& flows = from.flows.view(now_ns);
    uint32_t slot = SLUICE_NONE;
    const auto pick = [&] {
      slot = vtable->pick(policy.object(), policy.state(), &flows, &view, &need);
    };
    if (vtable->pick == nullptr || !policy.run(now_ns, "pick", pick) || slot == SLUICE_NONE)
      return nullptr;
    if (slot >= flows.slots || flows.parked[slot] == 0) {
      policy.fault(now_ns, "pick named a flow with nothing parked");
      return nullptr;
    }
    rows.clear();
    shown.clear();
    for (Request* r = from.flows.at(slot)->newest; r != nullptr && shown.size() < kVictimRowsMax;
         r = r->older) {
      if (r->doomed) continue;
      shown.push_back(r);
      rows.add(*r, from.flows.hash(*r->flow), from.config.priority, 0);
    }
    if (shown.empty()) return nullptr;
    keys = rows.seq();
    const auto ask_keys = [&] {
      vtable->keys(policy.object(), policy.state(), &rows.view(policy.wants_prefix()), &view,
                   keys.data());
    };
    if (vtable->keys != nullptr && !policy.run(now_ns, "keys", ask_keys)) return nullptr;
    // The first of the largest: rows come newest first.
    return shown[static_cast<size_t>(std::ranges::max_element(keys) - keys.begin())];
  };
  const auto choose_until = [&](Band& from, auto&& enough) {
    while (!enough() && victims.size() < kVictimRowsMax) {
      Request* victim = choose_in(from);
      if (victim == nullptr) return;
      victim->doomed = true;
      set_aside(victim, -1);
      victims.push_back(victim);
      const auto relieve = [](uint64_t& need, uint64_t by) { need -= std::min(need, by); };
      if (&from == &band) relieve(band_requests, 1), relieve(band_bytes, victim->bytes);
      relieve(host_requests, 1);
      relieve(host_bytes, victim->bytes);
    }
  };
  choose_until(band, [&] { return band_requests == 0 && band_bytes == 0; });
  const auto host_fits = [&] { return host_requests == 0 && host_bytes == 0; };
  const size_t lowest = planted(Planted::kEvictsUpwards) ? 0 : band.rank;
  if (band_requests == 0 && band_bytes == 0)
    for (size_t rank = bands.size(); rank-- > lowest;) choose_until(*bands[rank], host_fits);

  const bool enough = band_requests == 0 && band_bytes == 0 && host_fits();
  newcomer->doomed = false;
  set_aside(newcomer, 1);
  for (Request* victim : victims) {
    victim->doomed = false;
    set_aside(victim, 1);
  }
  if (!enough && !planted(Planted::kEvictsInVain)) return false;
  for (Request* victim : victims)
    end_parked(
        victim, Outcome::kEvicted,
        victim->flow->band == band.rank ? Reason::kEvictedPressure : Reason::kEvictedPriority,
        true);
  return true;
}

}  // namespace sluice
