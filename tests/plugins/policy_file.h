// A shipped policy, opened from the build tree as the host would: one .so, one descriptor, one
// object, states.
//
// Threads: none. The image stays mapped, as in the host. A test that names a policy that is not
// there fails at once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sluice/sluice.h>

namespace sluice::testing {

// Parameters that differ from their defaults: numbers (durations in ns) by name.
using Params = std::map<std::string, int64_t>;

// A host that writes down what it is told.
class FakeHost {
 public:
  FakeHost();
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  const sluice_host_v1& get() const { return host_; }

  std::vector<std::string> lines;    // logged
  std::vector<std::string> faults;   // reported
  std::vector<std::string> sources;  // declared
  bool knows_sources = true;
  uint64_t retain_ns = 0;

 private:
  sluice_host_v1 host_{};
};

const sluice_entry_v1& open_plugin(const std::string& path);
std::string plugin_path(const std::string& file);  // "fairness_vtc" -> the .so in the build tree

// Values for DESCRIPTOR's table: the defaults, but for PARAMS.
std::vector<sluice_value> values_for(const sluice_policy_v1& descriptor, const Params& params);

class Policy {
 public:
  Policy(const sluice_policy_v1& descriptor, const Params& params = {});
  explicit Policy(const std::string& file, const Params& params = {});
  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  const sluice_policy_v1& descriptor() const { return descriptor_; }
  const void* object() const { return object_; }
  FakeHost& host() { return host_; }
  bool wants(uint32_t event_type) const { return (descriptor_.events >> event_type & 1) != 0; }

  // The vtable, which must be of the kind that ID names.
  const void* vtable(const char* id) const;

 private:
  FakeHost host_;
  const sluice_policy_v1& descriptor_;
  void* object_ = nullptr;
};

// One state of a policy; null inside if the policy is stateless.
class PolicyState {
 public:
  PolicyState(const Policy& policy, uint32_t flow_slots, uint32_t endpoint_slots = 0);
  ~PolicyState();
  PolicyState(const PolicyState&) = delete;
  PolicyState& operator=(const PolicyState&) = delete;
  void* get() const { return state_; }

 private:
  const Policy& policy_;
  void* state_ = nullptr;
};

}  // namespace sluice::testing
