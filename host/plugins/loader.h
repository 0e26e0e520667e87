// From a name in pipeline.toml to a policy: where plugin files are looked for, which one offers the
// policy, and why not.
//
// A file of a plugin directory that nothing names is copied, hashed and described in a child
// process, but never loaded into this one. Under require_sha256 only files with one of the pinned
// hashes are even described. What may go wrong with a file, and what the message says, is in
// docs/will-my-plugin-load.md.
//
// Threads: [control]; a Loader is for one (re)load of the configuration, on one thread. Nothing
// here throws, short of running out of memory.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/policy.h"
#include "host/config/config.h"
#include "host/config/diagnostics.h"
#include "host/plugins/image.h"
#include "host/plugins/info.h"
#include "host/plugins/registry.h"

namespace sluice::plugins {

struct SearchPath {
  std::vector<std::filesystem::path>
      directories;  // in order; the first file that offers a policy wins
  bool require_sha256 = false;
  std::set<std::string> pins;  // lower case; every sha256 that pipeline.toml names
};

// CONFIG's directories, then those of ENVIRONMENT (SLUICE_PLUGIN_PATH, separated by colons; null =
// not set; ignored under require_sha256), then the ones that belong to EXECUTABLE. Null CONFIG =
// the defaults.
SearchPath search_path(const config::Config* config, const char* environment,
                       const std::filesystem::path& executable);
// The same with this process's own environment and executable.
SearchPath search_path(const config::Config* config);

class Loader {
 public:
  explicit Loader(SearchPath path, PluginRegistry& registry = PluginRegistry::instance());

  enum class Status : uint8_t {
    kOk,
    kRefused,      // a file that pipeline.toml names: exit code 4
    kConfigError,  // pipeline.toml is wrong: exit code 3, whatever else is
  };
  // A policy found, its parameters bound; nothing of it has run in this process yet.
  struct Resolved {
    Status status = Status::kOk;
    config::Location at;
    size_t file = 0;                     // of files()
    const PolicyInfo* choice = nullptr;  // null = the built-in (shadow), or an error
    std::vector<Value> values;
    PolicyPtr policy;  // from load()
  };
  // The policy that USE names for a slot of KIND. Errors are added to DIAGNOSTICS at USE's place or
  // its parameters'. A USE without a name, or without the sha256 that is required, is an error that
  // the reader of pipeline.toml has reported.
  Resolved resolve(const config::PolicyUse& use, Kind kind, config::Diagnostics& diagnostics);
  // Makes the policies of ALL, once, after everything was resolved without an error. kRefused, with
  // the reasons in DIAGNOSTICS, unless all could be made.
  Status load(std::span<Resolved> all, config::Diagnostics& diagnostics);

  // Every *.so of the directories, refused ones too, in order of search.
  const std::vector<PluginInfo>& files();

 private:
  struct Match {
    size_t file;
    const PolicyInfo* policy;
  };
  void scan();
  const Match* find(const config::PolicyUse& use, Kind kind, Match& match) const;
  Status not_found(const config::PolicyUse& use, Kind kind, config::Diagnostics& diagnostics) const;
  Status pin_not_found(const config::PolicyUse& use, config::Diagnostics& diagnostics) const;
  // A refused file that, by the names in it, is the one that USE means.
  bool seems_to_offer(size_t file, const config::PolicyUse& use) const;
  std::string searched(const config::Diagnostics& diagnostics) const;

  SearchPath path_;
  PluginRegistry& registry_;
  bool scanned_ = false;
  std::vector<std::string> searched_;  // a line for each directory
  std::vector<Image> images_;
  std::vector<PluginInfo> infos_;  // of images_
};

// A policy's name as pipeline.toml may write it: sluice's own need no package.
std::string short_name(const std::string& package, const std::string& policy);

// `sluice plugin list`.
std::vector<PluginInfo> describe_all(const SearchPath& path);
// `sluice plugin inspect FILE`, wherever it lies; a note says if it could not be used there.
PluginInfo describe_file(const std::filesystem::path& file);
// `sluice plugin inspect NAME`: those of PLUGINS that are of package NAME, or that offer NAME as
// "package/policy" or, for package sluice, as "policy", in whatever kind.
std::vector<PluginInfo> find_plugins(const std::vector<PluginInfo>& plugins, std::string_view name);

}  // namespace sluice::plugins
