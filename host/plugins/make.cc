#include "host/plugins/make.h"

#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <memory>
#include <vector>

#include "core/result.h"
#include "host/config/text.h"
#include "host/plugins/self_check.h"

namespace sluice::plugins {
namespace {

const sluice_policy_v1* find(const sluice_entry_v1& entry, Kind kind, const std::string& name) {
  for (const sluice_policy_v1* const* policy = entry.policies; *policy != nullptr; ++policy)
    if (name == (*policy)->name && kind_of((*policy)->interfaces[0].id) == kind) return *policy;
  return nullptr;
}

// Calls create. Its object, or an Error that completes "its create ...".
Result<void*> create(const sluice_policy_v1& policy, const sluice_host_v1* host,
                     std::span<const Value> values) {
  if (policy.create == nullptr) return static_cast<void*>(nullptr);
  std::vector<sluice_value> arguments;
  for (const Value& value : values) arguments.push_back({value.i, value.f, value.s.c_str()});
  sluice_error error{};
  try {
    void* object =
        policy.create(host, arguments.data(), static_cast<uint32_t>(arguments.size()), &error);
    if (object != nullptr) return object;
  } catch (const std::exception& e) {
    return Error{fmt::format("threw an exception: {}", config::printable(e.what()))};
  } catch (...) {
    return Error{"threw an exception"};
  }
  const std::string_view text(error.text, strnlen(error.text, sizeof error.text));
  if (text.empty()) return Error{"failed and gives no reason"};
  return Error{fmt::format("failed: {}", config::printable(text))};
}

}  // namespace

PolicyPtr make_policy(const sluice_entry_v1& entry, const std::string& package, Kind kind,
                      const std::string& name, std::span<const Value> values,
                      HostServices& services, const ColumnRegistry& columns, Refusal& refusal) {
  const std::string full_name = package + "/" + name;
  const sluice_policy_v1* descriptor = find(entry, kind, name);
  if (descriptor == nullptr || descriptor->param_count != values.size()) {
    refusal = {fmt::format("describes \"{}\" otherwise each time that it is loaded", name),
               "its tables must be static"};
    return nullptr;
  }
  std::shared_ptr<Policy> made;
  {
    const HostServices::CreateScope scope(services);
    auto object = create(*descriptor, services.host(), values);
    if (!object) {
      refusal = {fmt::format("cannot make {}: its create {}", full_name, object.error()), ""};
      return nullptr;
    }
    made = std::make_shared<Policy>(descriptor, *object, full_name);
    made->retain_idle_ns = scope.retain_idle_ns();
  }
  if (auto fault = self_check(*made, kind, columns.snapshot())) {
    refusal = {fmt::format("fails the self-check of {}: {}", full_name, *fault),
               "it is a fault of the plugin: ask whoever made it"};
    return nullptr;
  }
  return made;
}

}  // namespace sluice::plugins
