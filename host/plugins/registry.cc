#include "host/plugins/registry.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "host/plugins/crash.h"
#include "host/plugins/dll.h"
#include "host/plugins/make.h"
#include "host/plugins/render.h"

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

std::optional<Refusal> PluginRegistry::check_limit(const Wanted& wanted) const {
  if (loaded_.contains(wanted.image->sha256)) return std::nullopt;
  const PolicyInfo& policy = *wanted.policy;
  const auto same = std::count_if(loaded_.begin(), loaded_.end(), [&](const auto& entry) {
    const PluginInfo& info = entry.second.info;
    return info.package == wanted.info->package && info.find(policy.name, policy.kind) != nullptr;
  });
  if (same < kImagesPerPolicyMax) return std::nullopt;
  return Refusal{
      fmt::format("would be file number {} with the {} policy {}/{} in the life of this process; "
                  "none is ever unloaded, and {} is the limit",
                  same + 1, kind_name(policy.kind), wanted.info->package, policy.name,
                  kImagesPerPolicyMax),
      "restart Sluice"};
}

const PluginRegistry::Loaded* PluginRegistry::load(Image& image, const PluginInfo& info,
                                                   std::optional<Refusal>& refusal) {
  auto known = loaded_.find(image.sha256);
  if (known == loaded_.end()) {
    // The last line in the log, should the file take the process down.
    spdlog::info("loading plugin {} {} from {} (sha256 {})", info.package, info.version,
                 image.path.string(), image.sha256);
    const LoadedImage image_in = load_image(image.copy);
    Loaded loaded{{}, image_in.entry, nullptr};
    if (loaded.entry == nullptr)
      loaded.info.refusal = {"cannot be loaded: " + image_in.error,
                             "link all that it needs into it"};
    else if (auto fault = plugins::describe(*loaded.entry, loaded.info))
      loaded.info.refusal = std::move(*fault);
    else if (loaded.info.package != info.package)
      loaded.info.refusal = {"calls itself by another name each time that it is loaded",
                             "its tables must be static"};
    if (!image_in.resident) {
      refusal = std::move(loaded.info.refusal);
      return nullptr;
    }
    if (loaded.entry != nullptr)
      name_image(loaded.entry,
                 fmt::format("{} {} ({})", info.package, info.version, image.path.string()));
    loaded.services = std::make_unique<HostServices>(info.package, columns_);
    known = loaded_.emplace(image.sha256, std::move(loaded)).first;
  }
  refusal = known->second.info.refusal;
  return refusal ? nullptr : &known->second;
}

bool PluginRegistry::make(std::span<Wanted> wanted) {
  const std::lock_guard lock(mutex_);
  std::erase_if(policies_, [](const auto& entry) { return entry.second.expired(); });
  std::map<std::string, std::vector<Wanted*>> fresh;  // by fingerprint
  for (Wanted& one : wanted) {
    const std::string print = fingerprint(*one.image, *one.policy, one.values);
    const auto known = policies_.find(print);
    if (known != policies_.end()) one.made = known->second.lock();
    if (!one.made) fresh[print].push_back(&one);
  }
  bool good = true;
  const auto refuse = [&](const std::vector<Wanted*>& all, const Refusal& refusal) {
    for (Wanted* one : all) one->refusal = refusal;
    good = false;
  };

  for (const auto& [_, all] : fresh)
    if (auto refusal = check_limit(*all.front())) refuse(all, *refusal);
  if (!good) return false;

  std::vector<Trial> trials;
  for (const auto& [_, all] : fresh)
    trials.push_back({all.front()->image, all.front()->info->package, all.front()->policy->kind,
                      all.front()->policy->name, all.front()->values});
  auto refusals = try_out(trials, probe_);
  for (auto it = refusals.begin(); const auto& [_, all] : fresh) {
    if (*it) refuse(all, **it);
    ++it;
  }
  if (!good) return false;

  for (const auto& [print, all] : fresh) {
    Wanted& first = *all.front();
    std::optional<Refusal> refusal;
    if (const Loaded* loaded = load(*first.image, *first.info, refusal)) {
      Refusal fault;
      first.made =
          make_policy(*loaded->entry, first.info->package, first.policy->kind, first.policy->name,
                      first.values, *loaded->services, columns_, fault);
      if (!first.made) refusal = std::move(fault);
    }
    if (refusal) {
      refuse(all, *refusal);
      continue;
    }
    for (Wanted* one : all) one->made = first.made;
    policies_[print] = first.made;
  }
  return good;
}

}  // namespace sluice::plugins
