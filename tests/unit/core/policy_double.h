// Policies made of lambdas, for tests that need one that misbehaves or that listens.
//
// A double must outlive the policies that it gives out.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "core/policy.h"

namespace sluice {

inline sluice_policy_v1 describe_double(const sluice_interface* interfaces) {
  return {.struct_size = sizeof(sluice_policy_v1),
          .param_count = 0,
          .flags = 0,
          .inputs = 0,
          .events = 0,
          .name = "double",
          .summary = "",
          .interfaces = interfaces,
          .params = nullptr,
          .create = nullptr,
          .destroy = nullptr,
          .state_new = nullptr,
          .state_free = nullptr};
}

struct OrderingDouble {
  std::function<uint64_t(const sluice_requests&, uint32_t row)> key;
  sluice_policy_v1 descriptor{};

  PolicyPtr policy() {
    static const sluice_ordering_v1 vtable{
        .observe = nullptr,
        .keys = [](const void* p, void*, const sluice_requests* requests, const sluice_band*,
                   uint64_t* out) {
          for (uint32_t i = 0; i < requests->count; ++i)
            out[i] = static_cast<const OrderingDouble*>(p)->key(*requests, i);
        }};
    static const sluice_interface interfaces[] = {{SLUICE_ORDERING_ID, &vtable},
                                                  {nullptr, nullptr}};
    descriptor = describe_double(interfaces);
    return std::make_shared<const Policy>(&descriptor, this, "test/ordering");
  }
};

struct ScorerDouble {
  std::function<float(const sluice_requests&, const sluice_endpoints&, uint32_t row)> score;
  sluice_policy_v1 descriptor{};

  PolicyPtr policy() {
    static const sluice_scoring_v1 vtable{
        .observe = nullptr,
        .score = [](const void* p, void*, const sluice_requests* request,
                    const sluice_endpoints* endpoints, const sluice_pairs* pairs, float* out) {
          for (uint32_t i = 0; i < pairs->count; ++i)
            out[i] = static_cast<const ScorerDouble*>(p)->score(*request, *endpoints,
                                                                pairs->endpoint[i]);
        }};
    static const sluice_interface interfaces[] = {{SLUICE_SCORING_ID, &vtable}, {nullptr, nullptr}};
    descriptor = describe_double(interfaces);
    return std::make_shared<const Policy>(&descriptor, this, "test/scorer");
  }
};

// Without a lambda for them, it has no keys.
struct EvictionDouble {
  std::function<uint32_t(const sluice_flows&, const sluice_band&, const sluice_need&)> pick;
  std::function<uint64_t(const sluice_requests&, uint32_t row)> key = nullptr;
  std::vector<sluice_event> heard = {};
  sluice_policy_v1 descriptor{};
  sluice_eviction_v1 vtable{};
  sluice_interface interfaces[2] = {{SLUICE_EVICTION_ID, &vtable}, {nullptr, nullptr}};

  PolicyPtr policy() {
    vtable = {.observe =
                  [](const void* p, void*, const sluice_flows*, const sluice_events* ev) {
                    auto* self = static_cast<EvictionDouble*>(const_cast<void*>(p));
                    self->heard.insert(self->heard.end(), ev->row, ev->row + ev->count);
                  },
              .pick =
                  [](const void* p, void*, const sluice_flows* flows, const sluice_band* band,
                     const sluice_need* need) {
                    return static_cast<const EvictionDouble*>(p)->pick(*flows, *band, *need);
                  },
              .keys = nullptr};
    if (key)
      vtable.keys = [](const void* p, void*, const sluice_requests* requests, const sluice_band*,
                       uint64_t* out) {
        for (uint32_t i = 0; i < requests->count; ++i)
          out[i] = static_cast<const EvictionDouble*>(p)->key(*requests, i);
      };
    descriptor = describe_double(interfaces);
    descriptor.events = ~uint64_t{0};
    return std::make_shared<const Policy>(&descriptor, this, "test/eviction");
  }
};

// A fairness policy.
struct PolicyDouble {
  std::function<uint32_t(const sluice_flows&, uint64_t*)> pick;
  std::vector<sluice_event> heard;
  uint64_t flags = 0;
  bool state_fails = false;

  static void* no_state(const void*, const sluice_scope*, sluice_error* error) {
    std::snprintf(error->text, sizeof(error->text), "no room for a state");
    return nullptr;
  }

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
