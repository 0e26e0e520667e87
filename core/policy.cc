#include "core/policy.h"

#include <cstring>

namespace sluice {

Policy::Policy(const sluice_policy_v1* descriptor, void* object, std::string full_name)
    : descriptor_(descriptor), object_(object), name_(std::move(full_name)) {}

Policy::~Policy() {
  if (descriptor_->destroy != nullptr) descriptor_->destroy(object_);
}

const void* Policy::find(const char* id) const {
  for (const sluice_interface* i = descriptor_->interfaces; i != nullptr && i->id != nullptr; ++i)
    if (std::strcmp(i->id, id) == 0) return i->vtable;
  return nullptr;
}

}  // namespace sluice
