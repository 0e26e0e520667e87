// Bugs that can be planted in the core, so that it can be shown that its tests would find them.
//
// A test that never fails proves little. Each bug here is one that such an engine might really
// have; tests/sim switches them on one by one and fails if its random worlds do not find each. They
// exist only where SLUICE_PLANT is defined, in a second build of the core that is linked into that
// test alone. In every other build planted() is the constant false, and nothing of them is left.
#pragma once

#include <cstdint>

namespace sluice {

enum class Planted : uint8_t {
  kNothing,
  kLostWakeUp,            // room that comes free is not noticed
  kDoubleRelease,         // a request that ends gives its tokens back twice
  kLimitOffByOne,         // an endpoint takes one request too many
  kFlowLimitOffByOne,     // so does a flow's queue
  kReturnUntold,          // policies do not hear of a flow that comes back: none is lifted
  kLeakedRefund,          // a requeued request stays charged to its flow
  kPriorityInversion,     // lower bands go first
  kHeapUnsorted,          // a queue is not put in order after one was taken out of its middle
  kStaleKeys,             // a queue is not put in order after its keys have changed
  kExpiresLate,           // what is past its deadline is dispatched if there is room
  kRequeueToTail,         // a requeued request is sorted in as the newest
  kDeadlineRestarts,      // its time to live begins again
  kBrokenNotExcluded,     // it may go back to the endpoint that broke under it
  kExclusionForgotten,    // of the endpoints that broke under it only the last one counts
  kChargeNotSettled,      // the estimate stands although the true cost is known
  kRoomKeptOnCancel,      // a client that leaves does not free its tokens
  kPromptsUncounted,      // an endpoint busy with prompts is sent more
  kPromptsForgotten,      // an answer that begins makes no room for the next prompt
  kStaysBlocked,          // a blocked flow does not hear of an endpoint that comes up
  kOneClock,              // the time to live runs on while the pool is empty
  kEvictsUpwards,         // a newcomer displaces what is of a higher band
  kEvictsInVain,          // victims go although they are not enough
  kForgottenWithWork,     // a flow with work parked counts as idle
  kClassNotFollowed,      // a parked request stays in the class that it was moved from
  kProgressChargedTwice,  // output beyond the estimate is charged twice
  kTenantLeak,            // what leaves stays counted as its tenant's
  kDrawsByAddress,        // the seed is not all that random draws depend on
  kLimitFallsForNothing,  // a learnt limit comes down although nothing waits
  kPauseForgotten,        // an endpoint that rejects is not left alone
  kDrainLetsIn,           // a host that shuts down takes more
  kGhostHasRoom,          // so does an endpoint that was removed
  kSubsetIgnored,         // a request goes where it may not
  kTimeRunsBack,          // a smaller `now` is believed
  kNeverQuarantined,      // a policy may fail for ever
  kRevokedTwice,          // what was taken back is taken back again
  kReservationStays,      // tokens of what is served elsewhere stay where they were reserved
  kBytesUnlimited,        // limits of bytes are not looked at
  kCeilingOverlooked,     // nor is a band's share of the pool
  kWaitForgotten,         // the time parked before a requeue is not counted
};

#ifdef SLUICE_PLANT
inline Planted planted_now = Planted::kNothing;  // set by the test, before the engine is made
inline bool planted(Planted bug) { return bug == planted_now; }
#else
consteval bool planted(Planted) { return false; }
#endif

}  // namespace sluice
