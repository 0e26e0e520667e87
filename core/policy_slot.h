// One policy at work in one place: its state, its faults, and the built-in that stands in for it.
//
// A policy's answer is never used unchecked. After kFaultsMax faults (illegal answers, exceptions,
// faults that it reports itself) within kFaultWindowNs the policy is in quarantine and the built-in
// answers until it is released. A slot without a policy always runs the built-in. Threads: as the
// engine. Owns the state, shares the policy.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include <sluice/sluice.h>

#include "core/policy.h"
#include "core/result.h"
#include "core/types.h"

namespace sluice {

// What sluice_host_v1.fault does: the call of a policy that this thread is in has failed. Ignored
// outside of one.
void report_fault(std::string_view why);

// What is common to the four kinds.
class PolicySlot {
 public:
  PolicySlot() = default;
  ~PolicySlot();
  PolicySlot(PolicySlot&& other) noexcept { *this = std::move(other); }
  PolicySlot& operator=(PolicySlot&& other) noexcept;

  // Makes the state. INTERFACE names the kind. EPOCH: what was dispatched in an earlier one was
  // never charged to this state.
  static Result<PolicySlot> open(PolicyPtr policy, const char* interface, const sluice_scope& scope,
                                 uint64_t epoch);

  bool active() const { return vtable_ != nullptr && !quarantined_; }
  const PolicyPtr& policy() const { return policy_; }
  const void* vtable() const { return vtable_; }
  const void* object() const { return policy_->object(); }
  void* state() const { return state_; }
  // What its observe wants to hear, in quarantine too, so that it stays in step.
  uint64_t events() const { return vtable_ != nullptr ? policy_->descriptor().events : 0; }
  bool wants_prefix() const {
    return policy_ && (policy_->descriptor().inputs & SLUICE_IN_PREFIX) != 0;
  }
  bool may_idle() const { return policy_ && (policy_->descriptor().flags & SLUICE_MAY_IDLE) != 0; }

  uint64_t epoch() const { return epoch_; }

  // Runs CALL, which calls the policy's function WHAT. False if it failed, which is a fault.
  template <typename Call>
  bool run(TimeNs now, std::string_view what, Call&& call) {
    begin_call();
    try {
      call();
      if (!failed_call()) return true;
    } catch (...) {
      report_fault(std::string(what).append(" threw an exception"));
    }
    end_failed_call(now, what);
    return false;
  }
  // Notes an illegal answer.
  void fault(TimeNs now, std::string_view what);
  uint64_t faults() const { return faults_; }
  bool quarantined() const { return quarantined_; }
  const std::string& last_fault() const { return last_fault_; }
  void release() {
    quarantined_ = false;
    recent_.clear();
  }

 private:
  static void begin_call();
  static bool failed_call();
  void end_failed_call(TimeNs now, std::string_view what);

  PolicyPtr policy_;
  const void* vtable_ = nullptr;
  void* state_ = nullptr;
  uint64_t epoch_ = 0;
  uint64_t faults_ = 0;
  bool quarantined_ = false;
  std::string last_fault_;
  std::deque<TimeNs> recent_;
};

// An event on its way to policies. EPOCH: when the request that it charges was dispatched.
struct ToldEvent {
  sluice_event event;
  uint64_t epoch;
};

// What SLOT's observe wants of EVENTS, as the table that it takes; the rows stand in SCRATCH.
sluice_events events_for(const PolicySlot& slot, std::span<const ToldEvent> events,
                         std::vector<sluice_event>& scratch);

// ---- the built-ins: what an empty or quarantined slot does ----

// Round robin over the ready bits, from the slot after CURSOR.
uint32_t round_robin(const sluice_flows& flows, uint32_t cursor);

}  // namespace sluice
