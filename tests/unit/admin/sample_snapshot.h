// A snapshot in which everything is there once.
#pragma once

#include "host/admin/snapshot.h"

namespace sluice {

inline AdminSnapshot sample_snapshot() {
  constexpr TimeNs kSecond = 1'000'000'000;
  AdminSnapshot out;
  out.now = 100 * kSecond;
  out.uptime_ns = 60 * kSecond;
  out.version = "1.2.3";
  out.reloads = {3, 1, "pipeline.toml:1:1: error: no"};
  BandStats critical, sheddable;
  critical.name = "critical";
  critical.priority = 100;
  critical.ledger.submitted = 30;
  critical.ledger.parked = 3;
  critical.ledger.in_flight = 7;
  critical.ledger.ended[static_cast<size_t>(Outcome::kCompleted)] = 20;
  critical.oldest_arrival_ns = 98 * kSecond;
  sheddable.name = "sheddable";
  sheddable.priority = -10;
  out.engine.bands = {critical, sheddable};
  out.engine.total = critical.ledger;
  out.engine.passes_hold = 4;
  EndpointStats first, second, ghost;
  second.slot = 1;
  second.limit = kNone;
  second.limit_tokens = 9000;
  first.slot = 0;
  first.up = true;
  first.limit = 8;
  first.in_flight = 7;
  first.limit_prefill_tokens = 2048;
  first.prefill_tokens = 500;
  first.dispatches = 27;
  first.paused_until_ns = 101 * kSecond;
  ghost.slot = 5;
  ghost.ghost = true;
  ghost.in_flight = 1;
  out.engine.endpoints = {first, second, ghost};
  out.engine.policies = {{"critical", "ordering", "sluice/fcfs", 2, true, "NaN"},
                         {"", "scoring", "sluice/queue-depth", 1, false, ""},
                         {"", "scoring", "sluice/queue-depth", 2, false, ""}};
  FlowStats flow;
  flow.name = "llama|alice";
  flow.weight_milli = 2000;
  flow.parked = 3;
  flow.in_flight = 2;
  flow.served_cost = 1000;
  flow.dispatches = 9;
  flow.head_arrival_ns = 98 * kSecond;
  out.flows = {flow};
  EndpointStatus endpoint;
  endpoint.name = "gpu-0";
  endpoint.address = "127.0.0.1:8101";
  endpoint.labels = {{"zone", "a"}};
  endpoint.limits = 8;
  endpoint.models_known = true;
  endpoint.models = {"llama"};
  endpoint.metrics_taken_ns = 99 * kSecond;
  endpoint.waiting = 1;
  endpoint.running = 6;
  endpoint.kv_used = 0.5;
  endpoint.scrapes_good = 11;
  endpoint.scrapes_missed = {1, 2, 3, 4};
  EndpointStatus out_of_it;
  out_of_it.slot = 1;
  out_of_it.name = "gpu-1";
  out_of_it.limits = kNone;
  out_of_it.health = Health::State::kEjected;
  out_of_it.ejections = 2;
  out.pool.endpoints = {endpoint, out_of_it};
  out.pool.classes = 2;
  out.pool.file_reads_bad = 1;
  return out;
}

}  // namespace sluice
