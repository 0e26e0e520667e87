// The words that the engine and its drivers share: identities, outcomes, what goes in and what
// comes out.
//
// Units: times are nanoseconds of one monotonic clock that the driver owns; cost is in cost units
// (plugin-api/abi.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace sluice {

using TimeNs = uint64_t;
inline constexpr TimeNs kNever = UINT64_MAX;
inline constexpr uint32_t kNone = UINT32_MAX;  // no slot, no band, no limit

// A submission's name. `seq` is its arrival sequence, unique for ever; `slot` only makes finding it
// cheap.
struct RequestId {
  uint64_t seq = 0;  // 0 = no request
  uint32_t slot = 0;
  friend bool operator==(const RequestId&, const RequestId&) = default;
};

using ClassId = uint32_t;  // an eligibility class: a set of endpoints that requests may use

// How a request ends; exactly one for each. The engine never ends one as what is marked (host).
enum class Outcome : uint8_t {
  kCompleted,             // upstream answered, with any status
  kUpstreamError,         // no answer, retries spent
  kClientGone,            // client left while in flight
  kCancelled,             // client left while parked
  kRejectedFull,          // a limit was met and no legal victim was found
  kRejectedNoEndpoint,    // pool empty and its queue full, or its TTL passed without any endpoint
  kRejectedUnknownModel,  // no endpoint ever served it; known to the driver alone
  kRejectedBad,           // (host) malformed
  kRejectedDraining,      // came while shutting down
  kDrained,               // parked at the drain deadline
  kExpired,               // TTL passed while endpoints existed
  kEvicted,               // displaced while parked
  kRevoked,               // taken back while in flight
};
inline constexpr int kOutcomes = 13;

// Why, where the outcome leaves it open.
enum class Reason : uint8_t {
  kNone,
  kQueueFull,        // kRejectedFull: requests of band or host
  kBytesFull,        // kRejectedFull: bytes of band or host
  kFlowFull,         // kRejectedFull: requests of the flow or its tenant
  kEvictedPriority,  // kEvicted for a newcomer of a higher band
  kEvictedPressure,  // kEvicted for a newcomer of its own band
};

const char* to_string(Outcome outcome);  // "rejected_full"
const char* to_string(Reason reason);    // "queue-full"

// What a request is, as the transport read it. Views are copied where they are kept.
struct Submission {
  std::string_view flow;    // the flow key's components, joined by '|'
  uint64_t flow_hash = 0;   // of `flow`
  uint64_t model_hash = 0;  // of the target model
  uint64_t generation = 0;  // Pipeline::generation that `band` and `tenant` were read from
  uint32_t band = 0;        // index into Pipeline::bands
  ClassId eligible = 0;     // where it may go
  // Slots that alone may serve it, of those in its class. Refused at once as kRejectedNoEndpoint if
  // none of them is in the class and up.
  std::optional<std::span<const uint32_t>> only;
  uint32_t tenant = kNone;       // index into Pipeline::tenants
  uint32_t weight_milli = 1000;  // model weight x tenant weight; 1 .. 1'000'000
  uint64_t bytes = 0;            // of its body
  // Of its prompt; the engine estimates the two below from it and from what the model's earlier
  // requests did. kNone = they are given.
  uint32_t prompt_bytes = kNone;
  uint32_t prompt_tokens = 0;
  uint32_t output_expected = 0;  // of all choices together
  uint32_t output_max = 0;       // of each choice, as asked for; 0 = not given
  uint32_t choices = 1;          // answers that it asks for; 0 = none, an embedding
  // progress() will tell when its answer begins, so that it is known when its prompt is done.
  bool streams = false;
  TimeNs wall_deadline_ns = kNever;  // from its header; on top of the band's TTLs
  std::span<const uint64_t> prefix;  // chained hashes of its prompt's blocks, first block first
  // Declared columns of requests; those beyond the end hold what Pipeline::request_absent says.
  std::span<const int64_t> ints;
  std::span<const double> floats;
};

// What the upstream said about a request that was in flight.
struct Completion {
  Outcome outcome = Outcome::kCompleted;  // kCompleted, kUpstreamError, kClientGone or kRevoked
  bool has_usage = false;                 // the token counts below are true counts, not guesses
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // part of prompt_tokens
  uint32_t output_tokens = 0;
  bool made_nothing = false;  // an error answer, or none: nothing is owed
  bool was_full = false;      // the endpoint answered that it is: it is left alone for a moment
  // Of a stream whose events are counted: those with output, seen by the transport. None there
  // means that nothing was made; of any other answer, that nobody knows.
  bool is_stream = false;
  uint32_t output_events = 0;
};

// What an endpoint may have in flight.
struct EndpointLimits {
  uint32_t requests = kNone;  // kNone = no limit
  uint64_t tokens = 0;        // of prompts and expected outputs; 0 = no limit
  // Of prompts of streams whose answers have not begun, less what is likely cached: there is no
  // room once so many are there. 0 = no limit.
  uint64_t prefill_tokens = 0;
  // The engine finds out how much of that the endpoint can take, from reports and rejections.
  bool learn = false;
  uint32_t gateways = 1;  // that share the endpoint, this one included

  EndpointLimits() = default;
  EndpointLimits(uint32_t requests_max) : requests(requests_max) {}
  friend bool operator==(const EndpointLimits&, const EndpointLimits&) = default;
};

// Load of an endpoint as it told by itself.
struct EndpointReport {
  TimeNs taken_ns = 0;  // when the scrape was sent; 0 = there is no fresh one
  uint32_t waiting = 0, running = 0;
  float kv_used = 0;           // 0 .. 1
  uint64_t kv_tokens_max = 0;  // 0 = unknown
  std::vector<int64_t> ints;   // declared columns of endpoints, as Submission's
  std::vector<double> floats;
};

// An endpoint that a request could go to. The score is the weighted sum of all scorers'; 0 for one
// that none was asked about, since it had no room.
struct Ranked {
  uint32_t endpoint = kNone;
  float score = 0;
  friend bool operator==(const Ranked&, const Ranked&) = default;
};

// What the engine decided. The driver must act on each, in order.
struct Decision {
  enum class Kind : uint8_t {
    kDispatch,  // send the request to `endpoint`
    kEnd,       // a parked request is over: answer its client
    kRevoke,  // a request in flight is to be cut; the driver closes it and says complete(kRevoked)
  };
  Kind kind = Kind::kDispatch;
  RequestId id;
  uint32_t endpoint = kNone;              // kDispatch, kRevoke
  uint32_t attempt = 0;                   // kDispatch: 1 for the first
  Outcome outcome = Outcome::kCompleted;  // kEnd
  Reason reason = Reason::kNone;          // kEnd
  uint32_t retry_after_s = 0;  // kEnd with a 429 or 503: seconds until it may be worth another try
  TimeNs parked_ns = 0;        // how long it has been parked in all, until now
  // kDispatch, where the pipeline ranks: `endpoint` first, then what else of its class is up: that
  // with room by score, then the rest by how little it has in flight.
  std::vector<Ranked> ranked;
};

}  // namespace sluice
