// A fairness policy made of lambdas, for tests that need one that misbehaves or that listens.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "core/policy.h"

namespace sluice {

struct PolicyDouble {
  std::function<uint32_t(const sluice_flows&, uint64_t*)> pick;
  std::vector<sluice_event> heard;
  uint64_t flags = 0;
  bool state_fails = false;

  static void* no_state(const void*, const sluice_scope*, sluice_error* error) {
    std::snprintf(error->text, sizeof(error->text), "no room for a state");
    return nullptr;
  }

  // The double must outlive the policy.
  PolicyPtr policy() {
    static const sluice_fairness_v1 vtable{
        .observe =
            [](const void* p, void*, const sluice_flows*, const sluice_events* ev) {
              auto* self = static_cast<PolicyDouble*>(const_cast<void*>(p));
              self->heard.insert(self->heard.end(), ev->row, ev->row + ev->count);
            },
        .pick =
            [](const void* p, void*, const sluice_flows* flows, uint64_t* retry) {
              return static_cast<const PolicyDouble*>(p)->pick(*flows, retry);
            }};
    static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable},
                                                  {nullptr, nullptr}};
    descriptor = {.struct_size = sizeof(descriptor),
                  .param_count = 0,
                  .flags = flags,
                  .inputs = 0,
                  .events = ~uint64_t{0},
                  .name = "double",
                  .summary = "",
                  .interfaces = interfaces,
                  .params = nullptr,
                  .create = nullptr,
                  .destroy = nullptr,
                  .state_new = state_fails ? no_state : nullptr,
                  .state_free = nullptr};
    return std::make_shared<const Policy>(&descriptor, this, "test/double");
  }
  sluice_policy_v1 descriptor{};
};

}  // namespace sluice
