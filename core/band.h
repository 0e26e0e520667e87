// One priority level at work: its flows, its policies, its events and its part of the ledger.
//
// Threads and ownership as the engine, which is the only one to use it.
#pragma once

#include <vector>

#include "core/flow_table.h"
#include "core/pipeline.h"
#include "core/policy_slot.h"
#include "core/rate_meter.h"
#include "core/stats.h"

namespace sluice {

struct Band {
  Band(const BandConfig& band_config, uint32_t rank_now, uint32_t log_name, uint32_t flow_slots)
      : config(band_config), rank(rank_now), log_id(log_name), flows(rank_now, flow_slots) {}

  BandConfig config;
  uint32_t rank;    // index in the engine's list; 0 = highest
  uint32_t log_id;  // its name in the decision log, never given to another band
  FlowTable flows;
  uint32_t plain_flows = 0;  // remembered flows that no [[tenant]] configures

  PolicySlot ordering, fairness;
  bool keyed = false;  // the keys of what is parked are the ordering policy's, not the built-in's
  std::vector<PolicySlot> eviction;  // [i]: state for victims of the band i ranks below this one
  uint32_t cursor = 0;               // of the built-in round robin
  TimeNs ask_again_ns = kNever;      // a fairness policy that idles wants to be asked then

  std::vector<uint32_t> waiting_in_class;  // waiting flows by the class of their head
  uint32_t admissible = 0;                 // waiting flows whose class has room, held ones aside
  uint32_t held = 0;                       // flows whose head is kept back although there is room

  uint64_t event_mask = 0;        // what any of its listeners wants
  std::vector<ToldEvent> events;  // not yet heard

  Ledger ledger;
  RateMeter dispatch_rate, cost_rate;

  uint32_t& waiting_in(uint32_t cls) {
    if (cls >= waiting_in_class.size()) waiting_in_class.resize(cls + 1);
    return waiting_in_class[cls];
  }
};

}  // namespace sluice
