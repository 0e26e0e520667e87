#include "core/policy_slot.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "core/limits.h"
#include "core/planted.h"

namespace sluice {
namespace {

// The call of a policy that a thread is in.
struct Call {
  bool running = false, failed = false;
  size_t size = 0;
  std::array<char, 160> why{};
};
constinit thread_local Call current;

}  // namespace

void report_fault(std::string_view why) {
  if (!current.running || current.failed) return;
  current.failed = true;
  current.size = std::min(why.size(), current.why.size());
  std::copy_n(why.data(), current.size, current.why.data());
}

void PolicySlot::begin_call() {
  current.running = true;
  current.failed = false;
}

bool PolicySlot::failed_call() {
  current.running = false;
  return current.failed;
}

void PolicySlot::end_failed_call(TimeNs now, std::string_view what) {
  current.running = false;
  const std::string_view why(current.why.data(), current.size);
  fault(now, why.empty() ? std::string(what).append(" failed") : why);
}

PolicySlot::~PolicySlot() {
  if (policy_ && policy_->descriptor().state_free != nullptr && state_ != nullptr)
    policy_->descriptor().state_free(policy_->object(), state_);
}

PolicySlot& PolicySlot::operator=(PolicySlot&& other) noexcept {
  std::swap(policy_, other.policy_);
  std::swap(vtable_, other.vtable_);
  std::swap(state_, other.state_);
  std::swap(epoch_, other.epoch_);
  std::swap(faults_, other.faults_);
  std::swap(quarantined_, other.quarantined_);
  std::swap(last_fault_, other.last_fault_);
  std::swap(recent_, other.recent_);
  return *this;
}

Result<PolicySlot> PolicySlot::open(PolicyPtr policy, const char* interface,
                                    const sluice_scope& scope, uint64_t epoch) {
  PolicySlot slot;
  slot.epoch_ = epoch;
  if (!policy) return slot;
  slot.vtable_ = policy->find(interface);
  if (slot.vtable_ == nullptr) return Error{policy->name() + " does not offer " + interface};
  if (const auto state_new = policy->descriptor().state_new; state_new != nullptr) {
    sluice_error error{};
    try {
      slot.state_ = state_new(policy->object(), &scope, &error);
    } catch (...) {
      return Error{policy->name() + ": state_new threw an exception"};
    }
    if (slot.state_ == nullptr) {
      error.text[sizeof(error.text) - 1] = 0;
      return Error{policy->name() + ": " +
                   (error.text[0] != 0 ? error.text : "state_new failed without saying why")};
    }
  }
  slot.policy_ = std::move(policy);
  return slot;
}

void PolicySlot::fault(TimeNs now, std::string_view what) {
  ++faults_;
  last_fault_ = what;
  recent_.push_back(now);
  while (recent_.front() + kFaultWindowNs < now) recent_.pop_front();
  if (recent_.size() >= kFaultsMax && !planted(Planted::kNeverQuarantined)) {
    quarantined_ = true;
    recent_.clear();
  }
}

sluice_events events_for(const PolicySlot& slot, std::span<const ToldEvent> events,
                         std::vector<sluice_event>& scratch) {
  scratch.clear();
  for (const auto& [event, epoch] : events) {
    if ((slot.events() >> event.type & 1) == 0) continue;
    scratch.push_back(event);
    if (epoch >= slot.epoch()) continue;
    scratch.back().change = 0;
    scratch.back().flags |= SLUICE_EVF_INHERITED;
  }
  return {sizeof(sluice_events), static_cast<uint32_t>(scratch.size()), scratch.data()};
}

uint32_t round_robin(const sluice_flows& flows, uint32_t cursor) {
  const uint32_t words = (flows.slots + 63) / 64;
  if (words == 0) return SLUICE_NONE;
  const uint32_t start = cursor + 1 < flows.slots ? cursor + 1 : 0;
  uint64_t bits = flows.ready_bits[start / 64] & (~uint64_t{0} << (start % 64));
  for (uint32_t n = 0, w = start / 64; n <= words; ++n) {
    if (bits != 0) return w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
    w = w + 1 < words ? w + 1 : 0;
    bits = flows.ready_bits[w];
  }
  return SLUICE_NONE;
}

}  // namespace sluice
