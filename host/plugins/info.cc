#include "host/plugins/info.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

constexpr std::array<const char*, 4> kKindNames{"ordering", "fairness", "eviction", "scoring"};
constexpr std::array<const char*, 4> kInterfaceIds{SLUICE_ORDERING_ID, SLUICE_FAIRNESS_ID,
                                                   SLUICE_EVICTION_ID, SLUICE_SCORING_ID};
constexpr const char* kFix =
    "it is a fault of the plugin: correct its static tables and build it again";

// Walks the tables; the first fault ends the walk.
class Describer {
 public:
  std::optional<Refusal> run(const sluice_entry_v1& entry, PluginInfo& info) {
    read_entry(entry, info);
    return refusal_;
  }

 private:
  bool fail(std::string why, std::string fix = kFix) {
    if (!refusal_) refusal_ = Refusal{std::move(why), std::move(fix)};
    return false;
  }

  // A text of 1 .. MAX bytes (0 .. MAX if EMPTY is allowed) of printable characters.
  bool read_text(const char* text, size_t max, bool empty, std::string_view what,
                 std::string& out) {
    if (text == nullptr) return fail(fmt::format("has no {} (null)", what));
    const size_t length = strnlen(text, max + 1);
    if (length > max) return fail(fmt::format("has a {} of more than {} bytes", what, max));
    if (length == 0 && !empty) return fail(fmt::format("has an empty {}", what));
    out.assign(text, length);
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (std::any_of(out.begin(), out.end(), control))
      return fail(fmt::format("has control characters in its {}", what));
    return true;
  }

  // A text that people write in pipeline.toml.
  bool read_name(const char* text, std::string_view extra, std::string_view what,
                 std::string& out) {
    if (!read_text(text, kNameMax, false, what, out)) return false;
    const auto legal = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             extra.find(c) != std::string_view::npos;
    };
    if (!std::all_of(out.begin(), out.end(), legal))
      return fail(fmt::format("has the {} \"{}\"; only a-z, 0-9 and \"{}\" are allowed in it", what,
                              out, extra));
    return true;
  }

  bool read_entry(const sluice_entry_v1& entry, PluginInfo& info) {
    // The two minors stand where every 0.x has them; nothing else may be read before they agree.
    info.minor_built = entry.abi_minor_built;
    info.minor_needed = entry.abi_minor_needed;
    if (entry.struct_size < 8 || entry.struct_size > kStructMax)
      return fail(fmt::format("has a broken descriptor: struct_size is {}", entry.struct_size));
    if (entry.abi_minor_built != SLUICE_ABI_MINOR)
      return fail(
          fmt::format("was built for plugin ABI {0}.{1}, this host speaks {0}.{2}; while the ABI "
                      "is 0.x the "
                      "minor must be the same",
                      SLUICE_ABI_MAJOR, entry.abi_minor_built, SLUICE_ABI_MINOR),
          fmt::format(
              "build it again with the {0}.{1} headers, or run the Sluice that speaks {0}.{2}",
              SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR, entry.abi_minor_built));
    if (entry.abi_minor_needed > entry.abi_minor_built)
      return fail(fmt::format("says that it needs ABI minor {} though it was built for {}",
                              entry.abi_minor_needed, entry.abi_minor_built));
    if (entry.struct_size < sizeof(sluice_entry_v1))
      return fail(fmt::format("has a broken descriptor: struct_size is {}, at least {} is needed",
                              entry.struct_size, sizeof(sluice_entry_v1)));
    if (!read_name(entry.package, "._-", "package name", info.package) ||
        !read_text(entry.version, kNameMax, false, "version", info.version) ||
        !read_text(entry.license, kNameMax, true, "licence", info.license))
      return false;
    if (entry.policies == nullptr) return fail("has no list of policies (null)");
    for (size_t i = 0; entry.policies[i] != nullptr; ++i) {
      if (i == kPoliciesMax) return fail(fmt::format("offers more than {} policies", kPoliciesMax));
      PolicyInfo policy;
      if (!read_policy(*entry.policies[i], policy)) return false;
      if (info.find(policy.name, policy.kind) != nullptr)
        return fail(
            fmt::format("offers the {} policy \"{}\" twice", kind_name(policy.kind), policy.name));
      info.policies.push_back(std::move(policy));
    }
    return !info.policies.empty() || fail("offers no policy");
  }

  bool read_policy(const sluice_policy_v1& policy, PolicyInfo& info) {
    if (policy.struct_size < sizeof(sluice_policy_v1) || policy.struct_size > kStructMax)
      return fail(
          fmt::format("has a broken policy descriptor: struct_size is {}, at least {} is needed",
                      policy.struct_size, sizeof(sluice_policy_v1)));
    if (!read_name(policy.name, "-", "policy name", info.name)) return false;
    if (!read_text(policy.summary, kTextMax, true, fmt::format("summary of \"{}\"", info.name),
                   info.summary))
      return false;
    info.flags = policy.flags;
    info.inputs = policy.inputs;
    info.events = policy.events;
    if ((policy.flags & ~uint64_t{SLUICE_MAY_IDLE}) != 0)
      return fail(fmt::format("sets flags of \"{}\" that this host does not know: {:#x}", info.name,
                              policy.flags));
    if ((policy.inputs & ~uint64_t{SLUICE_IN_PREFIX}) != 0)
      return fail(fmt::format("asks for inputs of \"{}\" that this host does not know: {:#x}",
                              info.name, policy.inputs));
    return read_interfaces(policy, info) && read_params(policy, info);
  }

  bool read_interfaces(const sluice_policy_v1& policy, PolicyInfo& info) {
    if (policy.interfaces == nullptr)
      return fail(fmt::format("has no interfaces for \"{}\" (null)", info.name));
    for (size_t i = 0; policy.interfaces[i].id != nullptr; ++i) {
      const sluice_interface& interface = policy.interfaces[i];
      if (i == kInterfacesMax)
        return fail(fmt::format("gives \"{}\" more than {} interfaces", info.name, kInterfacesMax));
      std::string id;
      if (!read_text(interface.id, kNameMax, false, "interface id", id)) return false;
      if (interface.vtable == nullptr)
        return fail(fmt::format("has no functions for {} of \"{}\" (null)", id, info.name));
      if (i == 0) {
        const auto kind = kind_of(id);
        if (!kind)
          return fail(
              fmt::format("offers \"{}\" as {}, which this host does not know", info.name, id));
        info.kind = *kind;
        if (!has_verb(*kind, interface.vtable))
          return fail(fmt::format("lacks the main function of {} in \"{}\"", id, info.name));
      }
      info.interfaces.push_back(std::move(id));
    }
    return !info.interfaces.empty() || fail(fmt::format("has no interfaces for \"{}\"", info.name));
  }

  static bool has_verb(Kind kind, const void* vtable) {
    switch (kind) {
      case Kind::kOrdering:
        return static_cast<const sluice_ordering_v1*>(vtable)->keys != nullptr;
      case Kind::kFairness:
        return static_cast<const sluice_fairness_v1*>(vtable)->pick != nullptr;
      case Kind::kEviction:
        return static_cast<const sluice_eviction_v1*>(vtable)->pick != nullptr;
      case Kind::kScoring:
        return static_cast<const sluice_scoring_v1*>(vtable)->score != nullptr;
    }
    return false;
  }

  bool read_params(const sluice_policy_v1& policy, PolicyInfo& info) {
    if (policy.param_count > kParamsMax)
      return fail(fmt::format("gives \"{}\" {} parameters; {} are allowed", info.name,
                              policy.param_count, kParamsMax));
    if (policy.param_count != 0 && policy.params == nullptr)
      return fail(fmt::format("says that \"{}\" has {} parameters and has no table of them (null)",
                              info.name, policy.param_count));
    for (uint32_t i = 0; i < policy.param_count; ++i) {
      ParamInfo param;
      if (!read_param(policy.params[i], info.name, param)) return false;
      for (const ParamInfo& other : info.params)
        if (other.name == param.name)
          return fail(
              fmt::format("gives \"{}\" the parameter \"{}\" twice", info.name, param.name));
      info.params.push_back(std::move(param));
    }
    return true;
  }

  bool read_param(const sluice_param_v1& param, const std::string& policy, ParamInfo& info) {
    if (!read_name(param.name, "_-", "parameter name", info.name)) return false;
    const std::string what = fmt::format("parameter \"{}\" of \"{}\"", info.name, policy);
    if (!read_text(param.summary, kTextMax, true, "summary of " + what, info.summary)) return false;
    if (!read_text(param.unit, kNameMax, true, "unit of " + what, info.unit)) return false;
    if (param.flags != 0)
      return fail(fmt::format("sets unknown flags of {}: {:#x}", what, param.flags));
    if (param.choices != nullptr && param.type != SLUICE_CHOICE)
      return fail(fmt::format("has choices for {}, which is not a choice", what));
    info.type = param.type;
    info.standard = {param.standard.i, param.standard.f, ""};
    info.min = {param.min.i, param.min.f, ""};
    info.max = {param.max.i, param.max.f, ""};
    switch (param.type) {
      case SLUICE_BOOL:
        return param.standard.i == 0 || param.standard.i == 1 ||
               fail(fmt::format("has the default {} for the switch {}", param.standard.i, what));
      case SLUICE_INT:
      case SLUICE_DURATION:
      case SLUICE_BYTES:
        if (param.type != SLUICE_INT && param.min.i < 0)
          return fail(fmt::format("allows negative values for {}", what));
        return (param.min.i <= param.standard.i && param.standard.i <= param.max.i) ||
               fail(fmt::format("has the default {} for {}, outside its own bounds {} .. {}",
                                param.standard.i, what, param.min.i, param.max.i));
      case SLUICE_FLOAT:
        return (std::isfinite(param.standard.f) && param.min.f <= param.standard.f &&
                param.standard.f <= param.max.f) ||
               fail(fmt::format("has the default {} for {}, outside its own bounds {} .. {}",
                                param.standard.f, what, param.min.f, param.max.f));
      case SLUICE_STRING:
        return read_text(param.standard.s, kTextMax, true, "default of " + what, info.standard.s);
      case SLUICE_CHOICE:
        return read_choices(param, what, info);
      default:
        return fail(fmt::format("has the unknown type {} for {}", param.type, what));
    }
  }

  bool read_choices(const sluice_param_v1& param, const std::string& what, ParamInfo& info) {
    if (param.choices == nullptr) return fail(fmt::format("has no choices for {} (null)", what));
    for (size_t i = 0; param.choices[i] != nullptr; ++i) {
      if (i == kChoicesMax)
        return fail(fmt::format("has more than {} choices for {}", kChoicesMax, what));
      std::string choice;
      if (!read_text(param.choices[i], kNameMax, false, "choice of " + what, choice)) return false;
      info.choices.push_back(std::move(choice));
    }
    if (!read_text(param.standard.s, kNameMax, false, "default of " + what, info.standard.s))
      return false;
    return std::find(info.choices.begin(), info.choices.end(), info.standard.s) !=
               info.choices.end() ||
           fail(fmt::format("has the default \"{}\" for {}, which is none of its choices",
                            info.standard.s, what));
  }

  std::optional<Refusal> refusal_;
};

}  // namespace

const char* kind_name(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }
const char* interface_id(Kind kind) { return kInterfaceIds[static_cast<size_t>(kind)]; }

std::optional<Kind> kind_of(std::string_view interface_id) {
  for (size_t i = 0; i < kInterfaceIds.size(); ++i)
    if (interface_id == kInterfaceIds[i]) return static_cast<Kind>(i);
  return std::nullopt;
}

const PolicyInfo* PluginInfo::find(std::string_view name, Kind kind) const {
  for (const PolicyInfo& policy : policies)
    if (policy.kind == kind && policy.name == name) return &policy;
  return nullptr;
}

std::optional<Refusal> describe(const sluice_entry_v1& entry, PluginInfo& info) {
  return Describer().run(entry, info);
}

}  // namespace sluice::plugins
