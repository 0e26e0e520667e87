#include "tests/sim/policies.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "core/policy_slot.h"

namespace sluice::sim {
namespace {

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "error: %s\n", why.c_str());
  std::exit(1);
}

uint64_t retain_idle_ns = 0;  // what the policy being made asked for

const sluice_host_v1 kHost = {
    .struct_size = sizeof(sluice_host_v1),
    .abi_minor = SLUICE_ABI_MINOR,
    .ctx = nullptr,
    .log = [](void*, int32_t, const char*, size_t) {},
    .declare_int = [](void*, uint32_t, const char*, int64_t) { return SLUICE_NONE; },
    .declare_float = [](void*, uint32_t, const char*, double) { return SLUICE_NONE; },
    .retain_idle_flows = [](void*, uint64_t ns) { retain_idle_ns = std::max(retain_idle_ns, ns); },
    .extension = [](void*, const char*) -> const void* { return nullptr; },
    .fault =
        [](void*, const char* text, size_t n) {
          report_fault({text, n});
        },
};

PolicyPtr make(const sluice_policy_v1& descriptor, const std::string& path) {
  std::vector<sluice_value> values;
  for (uint32_t i = 0; i < descriptor.param_count; ++i)
    values.push_back(descriptor.params[i].standard);
  sluice_error error{};
  void* object = nullptr;
  retain_idle_ns = 0;
  if (descriptor.create != nullptr) {
    object = descriptor.create(&kHost, values.data(), descriptor.param_count, &error);
    if (object == nullptr) die(path + ": " + error.text);
  }
  auto made =
      std::make_shared<Policy>(&descriptor, object, std::string("sluice/") + descriptor.name);
  made->retain_idle_ns = retain_idle_ns;
  return made;
}

sluice_policy_v1 describe(const sluice_interface* interfaces) {
  sluice_policy_v1 descriptor{};
  descriptor.struct_size = sizeof(descriptor);
  descriptor.name = "double";
  descriptor.summary = "";
  descriptor.interfaces = interfaces;
  return descriptor;
}

uint32_t first_ready(const sluice_flows& flows) {
  for (uint32_t slot = 0; slot < flows.slots; ++slot)
    if (flows.ready_bits[slot / 64] >> (slot % 64) & 1) return slot;
  return SLUICE_NONE;
}

}  // namespace

Shelf Shelf::load(const std::string& directory) {
  Shelf shelf;
  if (directory.empty()) return shelf;
  std::error_code failed;
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator(directory, failed))
    if (file.path().extension() == ".so") paths.push_back(file.path().string());
  if (failed || paths.empty()) die("there is no policy file in " + directory);
  std::ranges::sort(paths);
  for (const std::string& path : paths) {
    void* image = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed, as in the host
    if (image == nullptr) die(dlerror());
    const auto* entry = static_cast<const sluice_entry_v1*>(dlsym(image, SLUICE_ENTRY_SYMBOL));
    if (entry == nullptr) die(path + " has no " SLUICE_ENTRY_SYMBOL);
    for (auto descriptor = entry->policies; *descriptor != nullptr; ++descriptor) {
      const PolicyPtr policy = make(**descriptor, path);
      if (policy->find(SLUICE_FAIRNESS_ID) != nullptr) shelf.fairness.push_back(policy);
      if (policy->find(SLUICE_ORDERING_ID) != nullptr) shelf.ordering.push_back(policy);
      if (policy->find(SLUICE_EVICTION_ID) != nullptr) shelf.eviction.push_back(policy);
      if (policy->find(SLUICE_SCORING_ID) != nullptr) shelf.scoring.push_back(policy);
    }
  }
  return shelf;
}

// ---- Mirror ----

PolicyPtr Mirror::policy() {
  static const sluice_fairness_v1 vtable{
      .observe =
          [](const void*, void* state, const sluice_flows*, const sluice_events* events) {
            for (uint32_t i = 0; i < events->count; ++i)
              hear(events->row[i], *static_cast<State*>(state));
          },
      .pick =
          [](const void* self, void* state, const sluice_flows* flows, uint64_t*) {
            return static_cast<const Mirror*>(self)->pick(*static_cast<const State*>(state),
                                                          *flows);
          }};
  static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {nullptr, nullptr}};
  descriptor_ = describe(interfaces);
  descriptor_.events = ~uint64_t{0};
  descriptor_.state_new = [](const void*, const sluice_scope*, sluice_error*) -> void* {
    return new State;
  };
  descriptor_.state_free = [](const void*, void* state) { delete static_cast<State*>(state); };
  return std::make_shared<const Policy>(&descriptor_, this, "sim/mirror");
}

void Mirror::hear(const sluice_event& event, State& ready) {
  switch (event.type) {
    case SLUICE_EV_WAITING:
    case SLUICE_EV_UNBLOCKED:
      ready.insert(event.slot);
      break;
    case SLUICE_EV_IDLE:
    case SLUICE_EV_BLOCKED:
    case SLUICE_EV_FLOW_REMOVED:
      ready.erase(event.slot);
      break;
    default:
      break;
  }
}

uint32_t Mirror::pick(const State& ready, const sluice_flows& flows) const {
  State shown;
  for (uint32_t slot = 0; slot < flows.slots; ++slot)
    if (flows.ready_bits[slot / 64] >> (slot % 64) & 1) shown.insert(shown.end(), slot);
  if (shown != ready && wrong_.empty())
    wrong_ = "a fairness policy heard of " + std::to_string(ready.size()) +
             " ready flows and was shown " + std::to_string(shown.size()) +
             ", or others than it heard of";
  return shown.empty() ? SLUICE_NONE : *shown.begin();
}

// ---- Bookkeeper ----

PolicyPtr Bookkeeper::policy() {
  static const sluice_scoring_v1 vtable{
      .observe =
          [](const void* self, void*, const sluice_endpoints*, const sluice_events* events) {
            for (uint32_t i = 0; i < events->count; ++i)
              static_cast<const Bookkeeper*>(self)->hear(events->row[i]);
          },
      .score =
          [](const void*, void*, const sluice_requests*, const sluice_endpoints* endpoints,
             const sluice_pairs* pairs, float* out) {
            for (uint32_t i = 0; i < pairs->count; ++i)
              out[i] = 1.0F / (1.0F + static_cast<float>(endpoints->inflight[pairs->endpoint[i]]));
          }};
  static const sluice_interface interfaces[] = {{SLUICE_SCORING_ID, &vtable}, {nullptr, nullptr}};
  descriptor_ = describe(interfaces);
  descriptor_.events = ~uint64_t{0};
  return std::make_shared<const Policy>(&descriptor_, this, "sim/bookkeeper");
}

void Bookkeeper::hear(const sluice_event& event) const {
  if (event.type != SLUICE_EV_DISPATCHED && event.type != SLUICE_EV_PROGRESSED &&
      event.type != SLUICE_EV_COMPLETED)
    return;
  if (event.seq >= by_seq_.size()) by_seq_.resize(event.seq + 256);
  by_seq_[event.seq] += event.change;
  total_ += event.change;
  if (event.outcome == SLUICE_OUT_REQUEUED && by_seq_[event.seq] != 0 && wrong_.empty())
    wrong_ = "#" + std::to_string(event.seq) + " was requeued and is still charged " +
             std::to_string(by_seq_[event.seq]);
}

// ---- Culprit ----

PolicyPtr Culprit::fairness() {
  static const sluice_fairness_v1 vtable{
      .observe = nullptr,
      .pick = [](const void* self, void*, const sluice_flows* flows, uint64_t*) {
        const auto& culprit = *static_cast<const Culprit*>(self);
        if (!culprit.fails()) return first_ready(*flows);
        if (culprit.random_.below(3) == 0) throw std::runtime_error("no pick today");
        return culprit.random_.below(2) == 0
                   ? SLUICE_NONE
                   : static_cast<uint32_t>(culprit.random_.below(2 * uint64_t{flows->slots}));
      }};
  static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {nullptr, nullptr}};
  fairness_ = describe(interfaces);
  return std::make_shared<const Policy>(&fairness_, this, "sim/culprit-fairness");
}

PolicyPtr Culprit::ordering() {
  static const sluice_ordering_v1 vtable{
      .observe = nullptr,
      .keys = [](const void* self, void*, const sluice_requests* requests, const sluice_band*,
                 uint64_t* out) {
        const auto& culprit = *static_cast<const Culprit*>(self);
        if (culprit.fails() && culprit.fails()) throw std::runtime_error("no keys today");
        for (uint32_t i = 0; i < requests->count; ++i) out[i] = culprit.random_.next() % 5;
      }};
  static const sluice_interface interfaces[] = {{SLUICE_ORDERING_ID, &vtable}, {nullptr, nullptr}};
  ordering_ = describe(interfaces);
  return std::make_shared<const Policy>(&ordering_, this, "sim/culprit-ordering");
}

PolicyPtr Culprit::eviction() {
  static const sluice_eviction_v1 vtable{
      .observe = nullptr,
      .pick = [](const void* self, void*, const sluice_flows* flows, const sluice_band*,
                 const sluice_need*) -> uint32_t {
        const auto& culprit = *static_cast<const Culprit*>(self);
        const auto any = static_cast<uint32_t>(culprit.random_.below(flows->slots));
        if (culprit.fails()) return any + flows->slots * static_cast<uint32_t>(culprit.fails());
        for (uint32_t n = 0; n < flows->slots; ++n) {
          const uint32_t slot = (any + n) % flows->slots;
          if (flows->parked[slot] != 0) return slot;
        }
        return SLUICE_NONE;
      },
      .keys =
          [](const void* self, void*, const sluice_requests* requests, const sluice_band*,
             uint64_t* out) {
            const auto& culprit = *static_cast<const Culprit*>(self);
            if (culprit.fails() && culprit.fails()) throw std::runtime_error("no victims today");
            for (uint32_t i = 0; i < requests->count; ++i) out[i] = culprit.random_.next();
          }};
  static const sluice_interface interfaces[] = {{SLUICE_EVICTION_ID, &vtable}, {nullptr, nullptr}};
  eviction_ = describe(interfaces);
  return std::make_shared<const Policy>(&eviction_, this, "sim/culprit-eviction");
}

PolicyPtr Culprit::scoring() {
  static const sluice_scoring_v1 vtable{
      .observe = nullptr,
      .score = [](const void* self, void*, const sluice_requests*, const sluice_endpoints*,
                  const sluice_pairs* pairs, float* out) {
        const auto& culprit = *static_cast<const Culprit*>(self);
        for (uint32_t i = 0; i < pairs->count; ++i)
          out[i] = static_cast<float>(culprit.random_.unit()) * 4 - 1;
        if (!culprit.fails()) return;
        if (culprit.random_.below(3) == 0) throw std::runtime_error("no scores today");
        out[culprit.random_.below(pairs->count)] = culprit.random_.below(2) == 0
                                                       ? std::numeric_limits<float>::quiet_NaN()
                                                       : std::numeric_limits<float>::infinity();
      }};
  static const sluice_interface interfaces[] = {{SLUICE_SCORING_ID, &vtable}, {nullptr, nullptr}};
  scoring_ = describe(interfaces);
  return std::make_shared<const Policy>(&scoring_, this, "sim/culprit-scoring");
}

// ---- Idler ----

PolicyPtr Idler::policy() {
  static const sluice_fairness_v1 vtable{
      .observe = nullptr,
      .pick = [](const void* self, void*, const sluice_flows* flows, uint64_t* retry_ns) {
        Random& random = static_cast<const Idler*>(self)->random_;
        if (random.below(5) != 0) return first_ready(*flows);
        *retry_ns = flows->now_ns + random.below(5'000'000);
        return SLUICE_NONE;
      }};
  static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {nullptr, nullptr}};
  descriptor_ = describe(interfaces);
  descriptor_.flags = SLUICE_MAY_IDLE;
  return std::make_shared<const Policy>(&descriptor_, this, "sim/idler");
}

}  // namespace sluice::sim
