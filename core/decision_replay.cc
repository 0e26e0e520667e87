#include "core/decision_replay.h"

#include <algorithm>

namespace sluice::replay {
namespace {

uint64_t heads_in(const Class& cls, const Band& band) {
  return band.index < cls.heads.size() ? cls.heads[band.index] : 0;
}

void sort_by_priority(std::vector<Band*>& bands) {
  std::stable_sort(bands.begin(), bands.end(),
                   [](const Band* a, const Band* b) { return a->priority > b->priority; });
}

}  // namespace

Band* State::find_band(uint32_t id) {
  const auto found = band_of_id_.find(id);
  return found == band_of_id_.end() ? nullptr : found->second;
}

Request* State::find(uint64_t seq) {
  const auto found = requests_.find(seq);
  return found == requests_.end() ? nullptr : &found->second;
}

Band& State::band(uint32_t id) {
  Band*& found = band_of_id_[id];
  if (found == nullptr) {
    found = &bands_.emplace_back();
    found->id = id;
    found->index = static_cast<uint32_t>(bands_.size() - 1);
  }
  return *found;
}

Flow& State::flow(const Band& band, uint32_t id) {
  Flow& found = flows_[uint64_t{band.index} << 32 | id];
  found.id = id;
  return found;
}

void State::set_priority(Band& band, int32_t priority) {
  band.priority = priority;
  sort_by_priority(waiting_);
}

void State::set_members(Class& cls, std::vector<uint32_t> members) {
  for (const uint32_t member : cls.members) std::erase(endpoints_[member].classes, &cls);
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  cls.members = std::move(members);
  int rooms = 0;
  for (const uint32_t member : cls.members) {
    endpoints_[member].classes.push_back(&cls);
    rooms += endpoints_[member].has_room();
  }
  add_rooms(cls, rooms - static_cast<int>(cls.rooms));
}

void State::set_endpoint(uint32_t id, uint64_t limit, bool open) {
  change_endpoint(id, [&](Endpoint& endpoint) {
    endpoint.limit = limit;
    endpoint.open = open;
  });
}

void State::park(uint64_t seq, Request& r) {
  r.endpoint = kNone;
  Class* old_head = r.flow->head_class();
  r.flow->parked.emplace(std::pair(r.key, seq), r.cls);
  head_moved(*r.band, old_head, r.flow->head_class());
  if (r.band->parked++ == 0) {
    waiting_.push_back(r.band);
    sort_by_priority(waiting_);
  }
  ++parked_;
}

void State::unpark(uint64_t seq, const Request& r) {
  Class* old_head = r.flow->head_class();
  r.flow->parked.erase({r.key, seq});
  if (r.flow->held == seq) r.flow->held = 0;
  head_moved(*r.band, old_head, r.flow->head_class());
  if (--r.band->parked == 0) std::erase(waiting_, r.band);
  --parked_;
}

void State::hold(const Request& r, uint64_t seq) {
  Class* old_head = r.flow->head_class();
  r.flow->held = seq;
  head_moved(*r.band, old_head, r.flow->head_class());
}

void State::land(Request& r, uint32_t endpoint) {
  r.endpoint = endpoint;
  change_endpoint(endpoint, [](Endpoint& e) { ++e.in_flight; });
  ++in_flight_;
}

void State::take_off(const Request& r) {
  change_endpoint(r.endpoint, [](Endpoint& e) { --e.in_flight; });
  --in_flight_;
}

uint64_t State::oldest_admissible(const Band& band) const {
  uint64_t oldest = UINT64_MAX;
  for (const auto& [seq, r] : requests_) {
    const bool could_go = r.band == &band && r.parked() && r.cls->rooms != 0 &&
                          r.flow->parked.begin()->first.second == seq && r.flow->held != seq;
    if (could_go) oldest = std::min(oldest, seq);
  }
  return oldest;
}

void State::add_rooms(Class& cls, int change) {
  const bool had = cls.rooms != 0;
  cls.rooms += static_cast<uint32_t>(change);
  const bool has = cls.rooms != 0;
  if (had == has) return;
  for (Band* band : waiting_)
    band->admissible += has ? heads_in(cls, *band) : -heads_in(cls, *band);
}

// A flow of BAND has another head, or its first or none.
void State::head_moved(Band& band, Class* from, Class* to) {
  if (from == to) return;
  if (from != nullptr) {
    --from->heads[band.index];
    if (from->rooms != 0) --band.admissible;
  }
  if (to != nullptr) {
    if (band.index >= to->heads.size()) to->heads.resize(band.index + 1);
    ++to->heads[band.index];
    if (to->rooms != 0) ++band.admissible;
  }
}

template <typename F>
void State::change_endpoint(uint32_t id, F&& change) {
  Endpoint& endpoint = endpoints_[id];
  const bool had = endpoint.has_room();
  change(endpoint);
  const bool has = endpoint.has_room();
  if (had == has) return;
  for (Class* cls : endpoint.classes) add_rooms(*cls, has ? 1 : -1);
}

}  // namespace sluice::replay
