// What a decision log says is parked, in flight and possible at each moment: the checker's state.
//
// Only moves what it is told to move; what is legal is for the checker to say. Knows at all times,
// without looking, how many flows of each band could dispatch their head (admissible).
// Threads: one at a time.
// Complexity: park and unpark O(log parked of the flow). An endpoint that gains or loses room costs
// its classes, and for each class that gains its first or loses its last room the bands with work.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/limits.h"
#include "core/types.h"

namespace sluice::replay {

struct Band {
  uint32_t id = 0;
  uint32_t index = 0;  // dense, for Class::heads
  int32_t priority = 0;
  std::string name;   // escaped
  bool idle = false;  // it said so in this call, and has not been heard of since
  uint64_t parked = 0;
  uint64_t admissible = 0;  // flows whose head has room somewhere
};

struct Class {
  std::vector<uint32_t> members;  // ascending, each once
  uint32_t rooms = 0;             // members with room
  std::vector<uint64_t> heads;    // flows whose head is of this class, by Band::index
};

struct Flow {
  uint32_t id = 0;
  std::string name;                                        // escaped
  std::map<std::pair<uint64_t, uint64_t>, Class*> parked;  // by key and seq: the first is the head
  uint64_t held = 0;  // seq of a head that is kept back; 0 = none
  // Null also for a head that is kept back: it could not be dispatched.
  Class* head_class() const {
    return parked.empty() || parked.begin()->first.second == held ? nullptr
                                                                  : parked.begin()->second;
  }
};

struct Endpoint {
  uint64_t limit = 0;
  bool open = false;
  uint64_t in_flight = 0;
  std::vector<Class*> classes;  // that it is a member of
  bool has_room() const { return open && in_flight < limit; }
};

struct Request {
  Band* band = nullptr;
  Flow* flow = nullptr;
  Class* cls = nullptr;
  uint64_t key = 0, attempts = 0;
  uint32_t endpoint = kNone;  // kNone = parked
  bool parked() const { return endpoint == kNone; }
};

class State {
 public:
  // Both null if there is none.
  Band* find_band(uint32_t id);
  Request* find(uint64_t seq);

  Band& band(uint32_t id);  // made if need be, as are the next two
  Flow& flow(const Band& band, uint32_t id);
  Class& cls(uint32_t id) { return classes_[id]; }
  Request& request(uint64_t seq) { return requests_[seq]; }
  void erase(uint64_t seq) { requests_.erase(seq); }

  void set_priority(Band& band, int32_t priority);
  void set_members(Class& cls, std::vector<uint32_t> members);  // each below kEndpointsMax
  void set_endpoint(uint32_t id, uint64_t limit, bool open);

  // R's band, flow, class and key must be set, and stay until it is unparked.
  void park(uint64_t seq, Request& r);
  void unpark(uint64_t seq, const Request& r);
  // SEQ of R's flow is kept back, if it is the head; 0 = none is.
  void hold(const Request& r, uint64_t seq);
  void land(Request& r, uint32_t endpoint);
  void take_off(const Request& r);

  const Endpoint& endpoint(uint32_t id) const { return endpoints_[id]; }
  // Bands with something parked, highest priority first.
  const std::vector<Band*>& waiting() const { return waiting_; }
  uint64_t parked() const { return parked_; }
  uint64_t in_flight() const { return in_flight_; }
  // The oldest request of BAND, whose admissible is not 0, that could be dispatched. O(all that has
  // not ended).
  uint64_t oldest_admissible(const Band& band) const;

 private:
  void add_rooms(Class& cls, int change);
  void head_moved(Band& band, Class* from, Class* to);
  template <typename F>
  void change_endpoint(uint32_t id, F&& change);

  std::deque<Band> bands_;
  std::unordered_map<uint32_t, Band*> band_of_id_;
  std::vector<Band*> waiting_;
  std::unordered_map<uint64_t, Flow> flows_;  // by band index and flow id
  std::unordered_map<uint32_t, Class> classes_;
  std::vector<Endpoint> endpoints_ = std::vector<Endpoint>(kEndpointsMax);
  std::unordered_map<uint64_t, Request> requests_;  // that have not ended
  uint64_t parked_ = 0, in_flight_ = 0;
};

}  // namespace sluice::replay
