// The plugin files that this process has loaded and the policies made from them, for ever.
//
// A file with the same content is loaded once; a policy with the same file, name and parameters
// that is still in use is handed out again, so that a reload of an unchanged pipeline.toml keeps
// its state. Nothing is ever unloaded: functions and tables of a plugin may be reached long after
// the last policy is gone.
//
// Threads: [control] calls are serialised inside; declared() is [any]. One for the process, never
// destroyed. Limits: kImagesPerPolicyMax files that offer the same policy; after that a restart is
// needed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/policy.h"
#include "host/plugins/declared.h"
#include "host/plugins/image.h"
#include "host/plugins/info.h"
#include "host/plugins/probe.h"
#include "host/plugins/services.h"

namespace sluice::plugins {

class PluginRegistry {
 public:
  static PluginRegistry& instance();

  // Which program describes plugin files, and for how long it may. For tests; the default is this
  // program.
  void set_probe(ProbeOptions options);

  // Every column that a policy has asked for so far.
  DeclaredColumns declared() const { return columns_.snapshot(); }

  // What each of IMAGES says about itself, in their order. Content that was described once is not
  // described again.
  std::vector<PluginInfo> describe(std::span<const Image> images);

  // A policy that a pipeline wants.
  struct Wanted {
    Image* image;
    const PluginInfo* info;  // of the image
    const PolicyInfo* policy;
    std::vector<Value> values;  // in the order of its table of parameters
    PolicyPtr made;
    std::optional<Refusal> refusal;
  };
  // Makes all of WANTED. False if any has a refusal: a file beyond the limit refuses before
  // anything runs, and so does a trial in a child process before anything is loaded. An image that
  // was not loaded before gives its copy away.
  bool make(std::span<Wanted> wanted);

 private:
  // An image in this process. Without an entry it is of no use, but it is there.
  struct Loaded {
    PluginInfo info;  // as it describes itself here
    const sluice_entry_v1* entry = nullptr;
    std::unique_ptr<HostServices> services;
  };

  PluginRegistry() = default;
  ~PluginRegistry() = delete;

  std::optional<Refusal> check_limit(const Wanted& wanted) const;
  const Loaded* load(Image& image, const PluginInfo& info, std::optional<Refusal>& refusal);

  std::mutex mutex_;  // guards everything below
  ProbeOptions probe_;
  std::map<std::string, PluginInfo> described_;                  // by sha256
  std::map<std::string, Loaded> loaded_;                         // by sha256
  std::map<std::string, std::weak_ptr<const Policy>> policies_;  // by fingerprint
  ColumnRegistry columns_;                                       // guards itself
};

}  // namespace sluice::plugins
