// One request inside the engine, parked or in flight, and the queues that it can be in.
#pragma once

#include <memory>
#include <vector>

#include "core/ordered_queue.h"
#include "core/types.h"

namespace sluice {

struct Flow;

// What a request leaves of the endpoints of its class. Slots are sorted.
struct Narrowing {
  bool restricted = false;  // to `only`
  std::vector<uint32_t> only;
  std::vector<uint32_t> excluded;  // broke under it; used again where nothing else is up
  friend auto operator<=>(const Narrowing&, const Narrowing&) = default;
};

struct Request {
  enum class State : uint8_t { kParked, kInFlight };

  RequestId id;
  Flow* flow = nullptr;
  TimeNs arrival_ns = 0;
  TimeNs serving_deadline = kNever, empty_deadline = kNever;  // readings of the two pool clocks
  TimeNs wall_deadline = kNever;
  TimeNs nominal_deadline = kNever;  // what policies see: arrival + TTL, whatever the pool does
  TimeNs parked_since = 0, parked_before = 0;  // the parking that lasts; and earlier ones, summed
  uint64_t key = 0;                            // of the ordering policy
  uint64_t bytes = 0;
  uint64_t cost = 0;     // estimate while parked
  uint64_t charged = 0;  // while in flight: what its flow was charged for it
  uint64_t model_hash = 0;
  uint32_t prompt_bytes = 0;  // 0 = not known
  bool estimated = false;     // from prompt_bytes, by the engine
  uint32_t prompt_tokens = 0, cached_tokens = 0, output_expected = 0, output_max = 0;
  uint32_t choices = 1;
  uint32_t output_tokens = 0;  // so far
  uint64_t reserved = 0;       // in flight: tokens that it takes of its endpoint's room
  uint64_t prefilling = 0;     // in flight: tokens of its prompt, until its answer begins
  bool streams = false;
  TimeNs dispatched_ns = 0;
  TimeNs better_until = 0;  // waits for a better endpoint until then at most; 0 = never did
  uint32_t cls = 0;         // eligibility class, engine's own index
  uint32_t host_class = 0;  // the driver's; kNone: in flight, and nobody else will serve it
  uint32_t endpoint = kNone;
  uint32_t attempt = 0;
  uint64_t epoch = 0;  // the engine's when it was dispatched: which states were charged for it
  State state = State::kParked;
  bool doomed = false;    // chosen as a victim while a newcomer's need is being reckoned
  bool revoked = false;   // kRevoke was said
  bool was_held = false;  // although there was room
  bool moved = false;     // in flight, dispatched by another band, which is gone
  std::unique_ptr<Narrowing> narrowing;  // null: the whole class

  Request* older = nullptr;  // neighbours in its flow, by arrival
  Request* newer = nullptr;
  QueuePlace<Request> in_flow, in_serving, in_empty, in_wall;

  std::vector<uint64_t> prefix;
  std::vector<int64_t> ints;
  std::vector<double> floats;

  // Tokens that it will take of an endpoint's room.
  uint64_t size() const { return uint64_t{prompt_tokens} + output_expected; }
  TimeNs parked_ns(TimeNs now) const { return parked_before + (now - parked_since); }
};

// Order inside a flow: the ordering policy's key, then arrival.
struct ByKey {
  static bool before(const Request& a, const Request& b) {
    return a.key != b.key ? a.key < b.key : a.id.seq < b.id.seq;
  }
  static QueuePlace<Request>& place(Request& r) { return r.in_flow; }
};

template <TimeNs Request::*deadline, QueuePlace<Request> Request::*queue_place>
struct ByDeadline {
  static bool before(const Request& a, const Request& b) {
    return a.*deadline != b.*deadline ? a.*deadline < b.*deadline : a.id.seq < b.id.seq;
  }
  static QueuePlace<Request>& place(Request& r) { return r.*queue_place; }
};

using FlowQueue = OrderedQueue<Request, ByKey>;
using ServingQueue =
    OrderedQueue<Request, ByDeadline<&Request::serving_deadline, &Request::in_serving>>;
using EmptyQueue = OrderedQueue<Request, ByDeadline<&Request::empty_deadline, &Request::in_empty>>;
using WallQueue = OrderedQueue<Request, ByDeadline<&Request::wall_deadline, &Request::in_wall>>;

}  // namespace sluice
