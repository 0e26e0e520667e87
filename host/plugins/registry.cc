#include "host/plugins/registry.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>

#include "core/result.h"
#include "host/config/text.h"
#include "host/plugins/dll.h"
#include "host/plugins/render.h"
#include "host/plugins/self_check.h"

namespace sluice::plugins {
namespace {

// All that makes one policy different from another. Lengths keep the parts apart.
std::string fingerprint(const Image& image, const PolicyInfo& policy,
                        std::span<const Value> values) {
  std::string print = fmt::format("{} {} {}", image.sha256, kind_name(policy.kind), policy.name);
  for (const Value& value : values)
    print += fmt::format(" {} {:a} {}:{}", value.i, value.f, value.s.size(), value.s);
  return print;
}

const sluice_policy_v1* find(const sluice_entry_v1& entry, const PolicyInfo& wanted) {
  for (const sluice_policy_v1* const* policy = entry.policies; *policy != nullptr; ++policy)
    if (wanted.name == (*policy)->name && kind_of((*policy)->interfaces[0].id) == wanted.kind)
      return *policy;
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

PluginRegistry& PluginRegistry::instance() {
  static auto* const registry = new PluginRegistry;
  return *registry;
}

void PluginRegistry::set_probe(ProbeOptions options) {
  const std::lock_guard lock(mutex_);
  probe_ = std::move(options);
}

std::vector<PluginInfo> PluginRegistry::describe(std::span<const Image> images) {
  const std::lock_guard lock(mutex_);
  std::vector<const Image*> unknown;
  for (const Image& image : images)
    if (!image.refusal && !described_.contains(image.sha256) &&
        std::none_of(unknown.begin(), unknown.end(),
                     [&](auto* other) { return other->sha256 == image.sha256; }))
      unknown.push_back(&image);
  if (described_.size() + unknown.size() > kProbeCacheMax) described_.clear();
  std::map<std::string, PluginInfo> refused;
  for (PluginInfo& info : probe(unknown, probe_)) {
    // A refusal may be the machine's fault rather than the file's, so it is found anew each time.
    auto& known = info.refusal ? refused : described_;
    known[info.sha256] = std::move(info);
  }
  std::vector<PluginInfo> infos;
  for (const Image& image : images) {
    PluginInfo info;
    if (image.refusal)
      info.refusal = image.refusal;
    else if (const auto known = described_.find(image.sha256); known != described_.end())
      info = known->second;
    else
      info = refused[image.sha256];
    info.path = image.path;
    info.sha256 = image.sha256;
    info.size = image.size;
    if (!image.libraries.empty() && !info.refusal)
      info.notes.push_back(
          fmt::format("needs {}: two plugins that bring the same library may collide",
                      fmt::join(image.libraries, ", ")));
    infos.push_back(std::move(info));
  }
  return infos;
}

const PluginRegistry::Loaded* PluginRegistry::load(Image& image, const PluginInfo& info,
                                                   Refusal& refusal) {
  auto known = loaded_.find(image.sha256);
  if (known == loaded_.end()) {
    const auto same = [&](const auto& entry) { return entry.second.package == info.package; };
    if (std::count_if(loaded_.begin(), loaded_.end(), same) >= kImagesPerPackageMax) {
      refusal = {
          fmt::format(
              "is file number {} of package {} in the life of this process; none is ever unloaded, "
              "and {} is the limit",
              kImagesPerPackageMax + 1, info.package, kImagesPerPackageMax),
          "restart Sluice"};
      return nullptr;
    }
    // The last line in the log, should the file take the process down.
    spdlog::info("loading plugin {} {} from {} (sha256 {})", info.package, info.version,
                 image.path.string(), image.sha256);
    const LoadedImage image_in = load_image(image.copy);
    Loaded loaded{info.package, image_in.entry, {}, nullptr};
    PluginInfo found;
    if (loaded.entry == nullptr)
      loaded.refusal = {"cannot be loaded: " + image_in.error, "link all that it needs into it"};
    else if (auto fault = plugins::describe(*loaded.entry, found))
      loaded.refusal = std::move(*fault);
    else if (found.package != info.package)
      loaded.refusal = {"calls itself by another name each time that it is loaded",
                        "its tables must be static"};
    if (!loaded.refusal.why.empty()) loaded.entry = nullptr;
    if (!image_in.resident) {
      refusal = std::move(loaded.refusal);
      return nullptr;
    }
    loaded.services = std::make_unique<HostServices>(info.package, columns_);
    known = loaded_.emplace(image.sha256, std::move(loaded)).first;
  }
  refusal = known->second.refusal;
  return known->second.entry != nullptr ? &known->second : nullptr;
}

PolicyPtr PluginRegistry::make(Image& image, const PluginInfo& info, const PolicyInfo& policy,
                               std::span<const Value> values, Refusal& refusal) {
  const std::lock_guard lock(mutex_);
  const std::string print = fingerprint(image, policy, values);
  std::erase_if(policies_, [](const auto& entry) { return entry.second.expired(); });
  if (const auto known = policies_.find(print); known != policies_.end())
    if (PolicyPtr shared = known->second.lock()) return shared;

  const std::string full_name = info.package + "/" + policy.name;
  const Loaded* loaded = load(image, info, refusal);
  if (loaded == nullptr) return nullptr;
  const sluice_policy_v1* descriptor = find(*loaded->entry, policy);
  if (descriptor == nullptr || descriptor->param_count != values.size()) {
    refusal = {fmt::format("describes \"{}\" otherwise each time that it is loaded", policy.name),
               "its tables must be static"};
    return nullptr;
  }
  std::shared_ptr<Policy> made;
  {
    const HostServices::CreateScope scope(*loaded->services);
    auto object = create(*descriptor, loaded->services->host(), values);
    if (!object) {
      refusal = {fmt::format("cannot make {}: its create {}", full_name, object.error()), ""};
      return nullptr;
    }
    made = std::make_shared<Policy>(descriptor, *object, full_name);
    made->retain_idle_ns = scope.retain_idle_ns();
  }
  if (auto fault = self_check(*made, policy.kind, columns_.snapshot())) {
    refusal = {fmt::format("fails the self-check of {}: {}", full_name, *fault),
               "it is a fault of the plugin: ask whoever made it"};
    return nullptr;
  }
  policies_[print] = made;
  return made;
}

}  // namespace sluice::plugins
