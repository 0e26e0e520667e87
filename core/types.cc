#include "core/types.h"

namespace sluice {

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return "completed";
    case Outcome::kUpstreamError:
      return "upstream_error";
    case Outcome::kClientGone:
      return "client_gone";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kRejectedFull:
      return "rejected_full";
    case Outcome::kRejectedNoEndpoint:
      return "rejected_no_endpoint";
    case Outcome::kRejectedUnknownModel:
      return "rejected_unknown_model";
    case Outcome::kRejectedBad:
      return "rejected_bad";
    case Outcome::kRejectedDraining:
      return "rejected_draining";
    case Outcome::kDrained:
      return "drained";
    case Outcome::kExpired:
      return "expired";
    case Outcome::kEvicted:
      return "evicted";
    case Outcome::kRevoked:
      return "revoked";
  }
  return "unknown";
}

const char* to_string(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kQueueFull:
      return "queue-full";
    case Reason::kBytesFull:
      return "bytes-full";
    case Reason::kFlowFull:
      return "flow-full";
    case Reason::kEvictedPriority:
      return "evicted-priority";
    case Reason::kEvictedPressure:
      return "evicted-queue-pressure";
  }
  return "unknown";
}

}  // namespace sluice
