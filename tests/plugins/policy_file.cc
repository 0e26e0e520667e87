#include "policy_file.h"

#include <dlfcn.h>

#include <cstring>
#include <stdexcept>

namespace sluice::testing {
namespace {

FakeHost& self(void* ctx) { return *static_cast<FakeHost*>(ctx); }

uint32_t declare(void* ctx, const char* source) {
  if (!self(ctx).knows_sources) return SLUICE_NONE;
  self(ctx).sources.emplace_back(source);
  return static_cast<uint32_t>(self(ctx).sources.size() - 1);
}

}  // namespace

FakeHost::FakeHost() {
  host_.struct_size = sizeof(host_);
  host_.abi_minor = SLUICE_ABI_MINOR;
  host_.ctx = this;
  host_.log = [](void* ctx, int32_t, const char* text, size_t n) {
    self(ctx).lines.emplace_back(text, n);
  };
  host_.declare_int = [](void* ctx, uint32_t, const char* source, int64_t) {
    return declare(ctx, source);
  };
  host_.declare_float = [](void* ctx, uint32_t, const char* source, double) {
    return declare(ctx, source);
  };
  host_.retain_idle_flows = [](void* ctx, uint64_t ns) { self(ctx).retain_ns = ns; };
  host_.extension = [](void*, const char*) -> const void* { return nullptr; };
  host_.fault = [](void* ctx, const char* text, size_t n) {
    self(ctx).faults.emplace_back(text, n);
  };
}

std::string plugin_path(const std::string& file) {
  return std::string(SLUICE_BUILD_DIR) + "/lib/sluice/plugins/" + file + ".so";
}

const sluice_entry_v1& open_plugin(const std::string& path) {
  void* image = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (image == nullptr) throw std::runtime_error(dlerror());
  const void* entry = dlsym(image, SLUICE_ENTRY_SYMBOL);
  if (entry == nullptr) throw std::runtime_error(path + " has no " SLUICE_ENTRY_SYMBOL);
  return *static_cast<const sluice_entry_v1*>(entry);
}

std::vector<sluice_value> values_for(const sluice_policy_v1& descriptor, const Params& params) {
  std::vector<sluice_value> values;
  size_t found = 0;
  for (uint32_t i = 0; i < descriptor.param_count; ++i) {
    values.push_back(descriptor.params[i].standard);
    if (const auto it = params.find(descriptor.params[i].name); it != params.end()) {
      values.back().i = it->second;
      ++found;
    }
  }
  if (found != params.size()) throw std::runtime_error("the policy has no such parameter");
  return values;
}

Policy::Policy(const sluice_policy_v1& descriptor, const Params& params) : descriptor_(descriptor) {
  if (descriptor_.create == nullptr) return;
  const std::vector<sluice_value> values = values_for(descriptor_, params);
  sluice_error error{};
  object_ =
      descriptor_.create(&host_.get(), values.data(), static_cast<uint32_t>(values.size()), &error);
  if (object_ == nullptr) throw std::runtime_error(std::string("create failed: ") + error.text);
}

Policy::Policy(const std::string& file, const Params& params)
    : Policy(*open_plugin(plugin_path(file)).policies[0], params) {}

Policy::~Policy() {
  if (descriptor_.destroy != nullptr) descriptor_.destroy(object_);
}

const void* Policy::vtable(const char* id) const {
  for (const sluice_interface* i = descriptor_.interfaces; i->id != nullptr; ++i)
    if (std::strcmp(i->id, id) == 0) return i->vtable;
  throw std::runtime_error(std::string(descriptor_.name) + " does not offer " + id);
}

PolicyState::PolicyState(const Policy& policy, uint32_t flow_slots, uint32_t endpoint_slots)
    : policy_(policy) {
  if (policy.descriptor().state_new == nullptr) return;
  const sluice_scope scope{sizeof(scope), flow_slots, endpoint_slots, 0, 0, 1, "test"};
  sluice_error error{};
  state_ = policy.descriptor().state_new(policy.object(), &scope, &error);
  if (state_ == nullptr) throw std::runtime_error(std::string("state_new failed: ") + error.text);
}

PolicyState::~PolicyState() {
  if (policy_.descriptor().state_free != nullptr)
    policy_.descriptor().state_free(policy_.object(), state_);
}

}  // namespace sluice::testing
