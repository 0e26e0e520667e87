// What a run keeps count of beside the engine.
#include <algorithm>

#include "host/simulate/simulation_impl.h"

namespace sluice::simulate {
namespace {

constexpr size_t kIdealBlocksMax = 16'000'000;

}  // namespace

void Simulation::server_changed(uint32_t server) {
  ModelServer& s = servers_[server];
  measures_.server(since_start(now_), server, s.running(), s.waiting(), s.kv_used(now_));
  const uint32_t taken = s.running() + s.waiting();
  free_slots_[server] = s.model().max_running - std::min(s.model().max_running, taken);
  unused_changed_ = true;
  note_room(server);
}

// What SERVER would let in now, and so the largest prompt that some server of its classes would.
void Simulation::note_room(uint32_t server) {
  const uint32_t before = room_[server];
  const uint32_t room = room_[server] = servers_[server].room();
  for (size_t c = 0; c < members_.size(); ++c) {
    if (!member_sets_[c][server]) continue;
    uint32_t most = std::max(room, rooms_[c].now());
    if (room < before && before == most) {
      most = 0;
      for (const uint32_t slot : members_[c]) most = std::max(most, room_[slot]);
    }
    rooms_[c].set(now_, most);
  }
}

void Simulation::change_waiting(const Live& r, int by) {
  uint32_t& waiting = waiting_[*r.kind->eligible];
  const bool any = waiting != 0;
  waiting = static_cast<uint32_t>(static_cast<int>(waiting) + by);
  if (any != (waiting != 0)) unused_changed_ = true;
}

// Servers without work, and free slots, while eligible work waits somewhere.
void Simulation::count_unused() {
  if (!std::exchange(unused_changed_, false)) return;
  Measures::ServerSet wanted;
  for (size_t c = 0; c < members_.size(); ++c)
    if (waiting_[c] != 0) wanted |= member_sets_[c];
  uint32_t idle = 0, slots = 0;
  if (wanted.any()) {
    for (uint32_t slot = 0; slot < servers_.size(); ++slot) {
      if (!wanted[slot]) continue;
      idle += free_slots_[slot] == servers_[slot].model().max_running ? 1 : 0;
      slots += free_slots_[slot];
    }
  }
  measures_.unused(since_start(now_), idle, slots);
}

// How many leading blocks one cache of all servers' size has.
uint64_t Simulation::pooled_blocks(const std::vector<uint64_t>& prefix) {
  if (prefix.empty()) return 0;
  const uint64_t hits = pooled_.hits(prefix);
  pooled_.hold(prefix);
  pooled_.release(prefix);
  pooled_.shrink(pooled_blocks_max_);
  return hits;
}

// How many leading blocks somebody sent before.
uint64_t Simulation::ideal_blocks(const std::vector<uint64_t>& prefix) {
  uint64_t seen = 0;
  bool all = true;
  for (const uint64_t block : prefix) {
    const bool known = blocks_seen_.contains(block);
    all = all && known;
    seen += all ? 1 : 0;
    if (!known && blocks_seen_.size() < kIdealBlocksMax) blocks_seen_.insert(block);
  }
  return seen;
}

}  // namespace sluice::simulate
