// A policy ready for use: a descriptor from a plugin and the object that its create made.
//
// Core never loads plugins; the host makes these and hands them over in a Pipeline. A null
// PolicyPtr stands for the built-in policy of its slot. Threads: [control] to make and destroy;
// const and shared afterwards. Owns: the policy object, not the image.
#pragma once

#include <memory>
#include <string>

#include <sluice/sluice.h>

namespace sluice {

class Policy {
 public:
  // Takes over OBJECT, which DESCRIPTOR's create returned (null where it has no create).
  Policy(const sluice_policy_v1* descriptor, void* object, std::string full_name);
  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  const sluice_policy_v1& descriptor() const { return *descriptor_; }
  const void* object() const { return object_; }
  const std::string& name() const { return name_; }  // "com.example.fair/weighted"

  // The vtable of interface ID, or null.
  const void* find(const char* id) const;

  uint64_t retain_idle_ns = 0;  // what its create asked for by retain_idle_flows

 private:
  const sluice_policy_v1* descriptor_;
  void* object_;
  std::string name_;
};

using PolicyPtr = std::shared_ptr<const Policy>;

}  // namespace sluice
