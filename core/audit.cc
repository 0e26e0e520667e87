#include <algorithm>

#include "core/engine_impl.h"

namespace sluice {
namespace {

std::string differs(const std::string& what, uint64_t counted, uint64_t kept) {
  return what + ": counted " + std::to_string(counted) + ", kept " + std::to_string(kept);
}

uint64_t all_ended(const Ledger& l) {
  uint64_t n = 0;
  for (uint64_t e : l.ended) n += e;
  return n;
}

PolicyStats policy_stats(const std::string& band, const char* kind, const PolicySlot& slot) {
  return {.band = band,
          .kind = kind,
          .name = slot.policy() ? slot.policy()->name() : "built-in",
          .faults = slot.faults(),
          .quarantined = slot.quarantined(),
          .last_fault = slot.last_fault()};
}

}  // namespace

Stats Engine::stats() const {
  Impl& e = *impl_;
  Stats s{.total = e.total,
          .bands = {},
          .endpoints = e.endpoints.stats(),
          .policies = {},
          .passes_hold = e.passes_hold,
          .passes_idle = e.passes_idle,
          .passes_ceiling = e.passes_ceiling,
          .holds_size = e.holds_size,
          .holds_better = e.holds_better};
  for (const auto& band : e.bands) {
    TimeNs oldest = kNever;
    if (band->ledger.parked != 0)
      band->flows.for_each([&](const Flow& flow) {
        if (flow.oldest != nullptr) oldest = std::min(oldest, flow.oldest->arrival_ns);
      });
    s.bands.push_back({.name = band->config.name,
                       .priority = band->config.priority,
                       .ledger = band->ledger,
                       .flows = band->flows.size(),
                       .waiting_flows = band->flows.waiting_count(),
                       .dispatches_per_second = band->dispatch_rate.per_second(e.now_ns),
                       .oldest_arrival_ns = oldest});
    s.policies.push_back(policy_stats(band->config.name, "ordering", band->ordering));
    s.policies.push_back(policy_stats(band->config.name, "fairness", band->fairness));
    // One row for the eviction policy, whatever number of bands it has a state for.
    PolicyStats eviction = policy_stats(band->config.name, "eviction", band->eviction.front());
    for (size_t i = 1; i < band->eviction.size(); ++i) {
      eviction.faults += band->eviction[i].faults();
      eviction.quarantined |= band->eviction[i].quarantined();
      if (eviction.last_fault.empty()) eviction.last_fault = band->eviction[i].last_fault();
    }
    s.policies.push_back(eviction);
  }
  for (const Impl::Scorer& scorer : e.scorers)
    s.policies.push_back(policy_stats("", "scoring", scorer.slot));
  return s;
}

std::vector<FlowStats> Engine::flow_stats() const {
  std::vector<FlowStats> all;
  for (const auto& band : impl_->bands)
    band->flows.for_each([&](const Flow& flow) {
      all.push_back({.name = flow.name,
                     .band = band->rank,
                     .weight_milli = band->flows.weight_milli(flow),
                     .parked = flow.parked.size(),
                     .in_flight = band->flows.in_flight(flow),
                     .parked_bytes = band->flows.parked_bytes(flow),
                     .in_flight_cost = band->flows.in_flight_cost(flow),
                     .served_cost = band->flows.served_cost(flow),
                     .dispatches = flow.dispatches,
                     .head_arrival_ns = flow.head() != nullptr ? flow.head()->arrival_ns : kNever,
                     .overflow = flow.slot == FlowTable::kOverflowSlot});
    });
  return all;
}

std::optional<std::string> Engine::audit() const {
  Impl& e = *impl_;
  std::vector<Ledger> counted(e.bands.size());
  std::vector<uint64_t> at_endpoint(kEndpointsMax), tokens_at(kEndpointsMax),
      prefills_at(kEndpointsMax), earmarks(kEndpointsMax);
  std::vector<uint64_t> of_tenant(e.pipeline.tenants.size());
  std::optional<std::string> wrong;
  const auto check = [&](const std::string& what, uint64_t a, uint64_t b) {
    if (a != b && !wrong) wrong = differs(what, a, b);
  };

  e.requests.for_each([&](Request& r) {
    const std::string name = "request " + std::to_string(r.id.seq);
    Ledger& l = counted[r.flow->band];
    if (r.state == Request::State::kParked) {
      ++l.parked;
      l.parked_bytes += r.bytes;
      l.parked_cost += r.cost;
      if (r.flow->tenant != kNone) ++of_tenant[r.flow->tenant];
      check(name + " is in its flow's queue", r.in_flow.queued(), 1);
      check(name + " has its deadline queued", r.in_serving.queued(), r.serving_deadline != kNever);
      check(name + " is past its deadline", e.deadlines.earliest(r) <= e.now_ns, 0);
      check(name + " is doomed", r.doomed, 0);
      check(name + " is charged", r.charged, 0);
      check(name + " has tokens reserved", r.reserved, 0);
      check(name + " prefills", r.prefilling, 0);
    } else {
      ++l.in_flight;
      l.in_flight_bytes += r.bytes;
      l.in_flight_cost += r.charged;
      l.in_flight_tokens += r.reserved;
      ++at_endpoint[r.endpoint];
      tokens_at[r.endpoint] += r.reserved;
      prefills_at[r.endpoint] += r.prefilling;
      check(name + " in flight is in its flow's queue", !r.in_flow.queued(), 1);
      check(name + " in flight has deadlines",
            !r.in_serving.queued() && !r.in_empty.queued() && !r.in_wall.queued(), 1);
    }
  });

  Ledger sum;
  for (const auto& band : e.bands) {
    const Ledger& kept = band->ledger;
    const Ledger& found = counted[band->rank];
    const std::string name = "band " + band->config.name;
    check(name + ": parked", found.parked, kept.parked);
    check(name + ": parked bytes", found.parked_bytes, kept.parked_bytes);
    check(name + ": parked cost", found.parked_cost, kept.parked_cost);
    check(name + ": in flight", found.in_flight, kept.in_flight);
    check(name + ": in flight bytes", found.in_flight_bytes, kept.in_flight_bytes);
    check(name + ": in flight cost", found.in_flight_cost, kept.in_flight_cost);
    check(name + ": in flight tokens", found.in_flight_tokens, kept.in_flight_tokens);
    check(name + ": submitted", kept.parked + kept.in_flight + all_ended(kept), kept.submitted);
    sum.parked += found.parked;
    sum.in_flight += found.in_flight;
    sum.parked_bytes += found.parked_bytes;

    std::vector<uint32_t> waiting(e.endpoints.classes().size());
    uint32_t admissible = 0, ready = 0, waiting_flows = 0, held = 0;
    band->flows.for_each([&](const Flow& flow) {
      const Request* head = flow.head();
      check(name + " flow " + flow.name + ": class of its head", flow.cls,
            head != nullptr ? head->cls : kNone);
      uint32_t listed = 0;
      for (const Request* r = flow.oldest; r != nullptr; r = r->newer) ++listed;
      check(name + " flow " + flow.name + ": listed by arrival", listed, flow.parked.size());
      const bool has_work = head != nullptr || band->flows.in_flight(flow) != 0;
      check(name + " flow " + flow.name + ": idle", flow.idle,
            !has_work && flow.slot != FlowTable::kOverflowSlot);
      if (head == nullptr) return;
      ++waiting_flows;
      if (flow.held != Flow::Held::kNo) {
        const std::string whose = name + " flow " + flow.name;
        check(whose + ": held, but ready", band->flows.is_ready(flow.slot), 0);
        check(whose + ": held is its head", flow.held_head.seq, head->id.seq);
        check(whose + ": listed as held", e.held[flow.held_place] == &flow, 1);
        ++held;
        if (flow.held == Flow::Held::kSize) {
          ++earmarks[flow.earmark];
          check(whose + ": held for its size, but there is room for it",
                !e.at_ceiling(*band) && e.may_go(flow), 0);
        }
        return;
      }
      ++waiting[head->cls];
      const bool room = e.endpoints.at(head->cls).rooms != 0;
      admissible += room;
      ready += band->flows.is_ready(flow.slot);
      check(name + " flow " + flow.name + ": blocked although there is room", room && flow.blocked,
            0);
      check(name + " flow " + flow.name + ": ready or blocked", band->flows.is_ready(flow.slot),
            !flow.blocked);
    });
    check(name + ": admissible flows", admissible, band->admissible);
    check(name + ": ready flows", ready, band->flows.ready_count());
    check(name + ": waiting flows", waiting_flows, band->flows.waiting_count());
    for (uint32_t cls = 0; cls < waiting.size(); ++cls)
      check(name + ": waiting in class " + std::to_string(cls), waiting[cls],
            band->waiting_in(cls));
    check(name + ": held flows", held, band->held);
    const bool may_wait =
        band->config.hold_when_blocked || band->fairness.may_idle() || e.at_ceiling(*band);
    if (!may_wait) check(name + ": admissible work left behind", band->admissible, 0);
  }
  check("all: parked", sum.parked, e.total.parked);
  check("all: in flight", sum.in_flight, e.total.in_flight);
  check("all: parked bytes", sum.parked_bytes, e.total.parked_bytes);
  check("all: submitted", e.total.parked + e.total.in_flight + all_ended(e.total),
        e.total.submitted);
  for (size_t t = 0; t < of_tenant.size(); ++t)
    check("tenant " + e.pipeline.tenants[t].name + ": parked", of_tenant[t], e.tenant_parked[t]);
  EndpointTable::Room serving, elsewhere;
  for (const EndpointStats& endpoint : e.endpoints.stats()) {
    if (endpoint.up && !endpoint.ghost) {
      const bool bounded = endpoint.limit != kNone && serving.requests != UINT64_MAX;
      serving.requests = bounded ? serving.requests + endpoint.limit : UINT64_MAX;
      const bool has_tokens = endpoint.limit_tokens != 0 && serving.tokens != UINT64_MAX;
      serving.tokens = has_tokens ? serving.tokens + endpoint.limit_tokens : UINT64_MAX;
    } else {
      elsewhere.requests += endpoint.in_flight;
      elsewhere.tokens += endpoint.in_flight_tokens;
    }
    const std::string name = "endpoint " + std::to_string(endpoint.slot);
    check(name + ": in flight", at_endpoint[endpoint.slot], endpoint.in_flight);
    check(name + ": has room",
          endpoint.up && !endpoint.ghost && endpoint.paused_until_ns == 0 && !endpoint.earmarked &&
              endpoint.in_flight < endpoint.limit &&
              (endpoint.limit_tokens == 0 || endpoint.in_flight == 0 ||
               endpoint.in_flight_tokens < endpoint.limit_tokens) &&
              (endpoint.limit_prefill_tokens == 0 ||
               endpoint.prefill_tokens < endpoint.limit_prefill_tokens),
          e.endpoints.has_room(endpoint.slot));
    check(name + ": tokens in flight", tokens_at[endpoint.slot], endpoint.in_flight_tokens);
    check(name + ": prompt tokens", prefills_at[endpoint.slot], endpoint.prefill_tokens);
    check(name + ": earmarks", earmarks[endpoint.slot], endpoint.earmarked);
  }
  check("pool: requests", serving.requests, e.endpoints.room_of_pool().requests);
  check("pool: tokens", serving.tokens, e.endpoints.room_of_pool().tokens);
  check("pool: requests elsewhere", elsewhere.requests, e.endpoints.in_flight_elsewhere().requests);
  check("pool: tokens elsewhere", elsewhere.tokens, e.endpoints.in_flight_elsewhere().tokens);
  for (const EligibilityClass& cls : e.endpoints.classes())
    if (cls.in_use) check("class: rooms", cls.members.count_in(e.endpoints.room()), cls.rooms);
  return wrong;
}

}  // namespace sluice
