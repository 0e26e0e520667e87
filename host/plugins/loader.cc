#include "host/plugins/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "host/config/text.h"
#include "host/plugins/limits.h"
#include "host/plugins/params.h"

namespace sluice::plugins {
namespace {

namespace fs = std::filesystem;

// The kind with its article: "an ordering policy".
std::string a_policy(Kind kind) {
  const bool vowel = kind == Kind::kOrdering || kind == Kind::kEviction;
  return fmt::format("{} {} policy", vowel ? "an" : "a", kind_name(kind));
}

// The *.so of DIRECTORY in order of name, at most kFilesMax; more is said in NOTE, and so is why
// there is none.
std::vector<fs::path> list(const fs::path& directory, std::string& note) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator i(directory, error), end; !error && i != end; i.increment(error)) {
    const std::string name = i->path().filename().string();
    if (name.size() > 3 && name.ends_with(".so") && name.front() != '.') files.push_back(i->path());
  }
  if (error)
    note = error == std::errc::no_such_file_or_directory ? "does not exist" : error.message();
  else if (files.size() > kFilesMax)
    note = fmt::format("{} files, only the first {} are read", files.size(), kFilesMax);
  else
    note = fmt::format("{} {}", files.size(), files.size() == 1 ? "file" : "files");
  std::sort(files.begin(), files.end());
  if (files.size() > kFilesMax) files.resize(kFilesMax);
  return files;
}

void add_pin(const config::PolicyUse& use, std::set<std::string>& pins) {
  if (!use.sha256.empty()) pins.insert(config::lower_case(use.sha256));
}

std::string nearest_of(const std::string& name, const std::vector<std::string>& names) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  return config::nearest(name, candidates);
}

}  // namespace

std::string short_name(const std::string& package, const std::string& policy) {
  return package == "sluice" ? policy : package + "/" + policy;
}

SearchPath search_path(const config::Config* config, const char* environment,
                       const fs::path& executable) {
  SearchPath path;
  std::vector<fs::path> wanted;
  if (config != nullptr) {
    wanted = config->plugin_directories;
    path.require_sha256 = config->require_sha256;
    for (const config::Band& band : config->bands)
      for (const config::PolicyUse* use : {&band.ordering, &band.fairness, &band.eviction})
        add_pin(*use, path.pins);
    for (const config::Scorer& scorer : config->scorers) add_pin(scorer.use, path.pins);
  }
  if (environment != nullptr && !path.require_sha256) {
    for (std::string_view rest = environment; !rest.empty();) {
      const std::string_view one = rest.substr(0, rest.find(':'));
      if (!one.empty()) wanted.emplace_back(one);
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    }
  }
  const fs::path prefix = executable.parent_path().parent_path();
  wanted.push_back(prefix / "lib/sluice/plugins");
  wanted.push_back(prefix / SLUICE_INSTALL_LIBDIR / "sluice/plugins");
  std::set<fs::path> read;
  for (const fs::path& directory : wanted) {
    std::error_code error;
    const fs::path absolute = fs::absolute(directory, error);
    fs::path real = fs::weakly_canonical(absolute, error);
    if (error) real = absolute;
    if (read.insert(real).second) path.directories.push_back(std::move(real));
  }
  return path;
}

SearchPath search_path(const config::Config* config) {
  std::error_code error;
  return search_path(config, std::getenv("SLUICE_PLUGIN_PATH"),
                     fs::read_symlink("/proc/self/exe", error));
}

Loader::Loader(SearchPath path, PluginRegistry& registry)
    : path_(std::move(path)), registry_(registry) {}

void Loader::scan() {
  if (std::exchange(scanned_, true)) return;
  uint64_t left = kScanBytesMax;
  for (const fs::path& directory : path_.directories) {
    std::string note;
    for (const fs::path& file : list(directory, note)) {
      images_.push_back(open_image(file, directory, left));
      Image& image = images_.back();
      left -= image.size;
      if (path_.require_sha256 && !image.refusal && !path_.pins.contains(image.sha256))
        image.refusal =
            Refusal{"is not described: require_sha256 is on, and nothing names its sha256",
                    fmt::format("if it is to be used, write sha256 = \"{}\" beside its name",
                                image.sha256)};
    }
    searched_.push_back(fmt::format("{} ({})", directory.string(), note));
  }
  infos_ = registry_.describe(images_);
}

const std::vector<PluginInfo>& Loader::files() {
  scan();
  return infos_;
}

const Loader::Match* Loader::find(const config::PolicyUse& use, Kind kind, Match& match) const {
  for (size_t i = 0; i < infos_.size(); ++i) {
    if (infos_[i].package != use.package) continue;
    match = {i, infos_[i].find(use.name, kind)};
    if (match.policy != nullptr) return &match;
  }
  return nullptr;
}

bool Loader::seems_to_offer(size_t file, const config::PolicyUse& use) const {
  if (!infos_[file].refusal || !mentions(images_[file], use.package)) return false;
  const auto same = [&](const PluginInfo& info) { return info.package == use.package; };
  return mentions(images_[file], use.name) || std::none_of(infos_.begin(), infos_.end(), same);
}

std::string Loader::searched(const config::Diagnostics& diagnostics) const {
  constexpr size_t kShownMax = 3;
  if (searched_.empty()) return "there is no plugin directory to search";
  std::string text = fmt::format("searched {}", fmt::join(searched_, ", "));
  size_t refused = 0;
  for (const PluginInfo& info : infos_)
    if (info.refusal && ++refused <= kShownMax)
      text += fmt::format("; {} {}", info.path.string(), info.refusal->why);
  if (refused > kShownMax) text += fmt::format("; {} more are refused", refused - kShownMax);
  if (refused != 0) text += fmt::format("; see `sluice plugin list -c {}`", diagnostics.file());
  return text;
}

// No file with the pin of USE offers it. What a file without the pin seems to hold does not matter.
Loader::Status Loader::pin_not_found(const config::PolicyUse& use,
                                     config::Diagnostics& diagnostics) const {
  diagnostics.error(use.at,
                    fmt::format("no plugin file has the sha256 {} that {} is pinned to", use.sha256,
                                use.full_name()),
                    "install the file that was meant; " + searched(diagnostics));
  return Status::kRefused;
}

// The name is known to no file that may be used. Perhaps to one that may not, or in another kind.
Loader::Status Loader::not_found(const config::PolicyUse& use, Kind kind,
                                 config::Diagnostics& diagnostics) const {
  const std::string pin = config::lower_case(use.sha256);
  bool pin_is_there = false;
  for (size_t i = 0; i < images_.size(); ++i) {
    const bool pinned = !pin.empty() && images_[i].sha256 == pin;
    pin_is_there |= pinned;
    if (pinned && infos_[i].refusal) {
      diagnostics.error(use.at,
                        fmt::format("{} is pinned to {}, which is refused: it {}", use.full_name(),
                                    images_[i].path.string(), infos_[i].refusal->why),
                        infos_[i].refusal->fix);
      return Status::kRefused;
    }
  }
  if (path_.require_sha256 && !pin_is_there) return pin_not_found(use, diagnostics);
  for (size_t i = 0; i < images_.size() && !path_.require_sha256; ++i) {
    if (!seems_to_offer(i, use)) continue;
    diagnostics.error(use.at,
                      fmt::format("{} seems to be in {}, which is refused: it {}", use.full_name(),
                                  images_[i].path.string(), infos_[i].refusal->why),
                      infos_[i].refusal->fix);
    return Status::kRefused;
  }
  std::vector<std::string> names,
      siblings;  // of that kind: all; those of the same package, without it
  for (const PluginInfo& info : infos_)
    for (const PolicyInfo& policy : info.policies) {
      const bool same_package = info.package == use.package;
      if (policy.kind == kind) {
        names.push_back(short_name(info.package, policy.name));
        if (same_package) siblings.push_back(policy.name);
      } else if (same_package && policy.name == use.name) {
        diagnostics.error(use.at, fmt::format("{} is {}, and this place takes {}", use.full_name(),
                                              a_policy(policy.kind), a_policy(kind)));
        return Status::kConfigError;
      }
    }
  std::sort(names.begin(), names.end());
  const std::string wanted = short_name(use.package, use.name);
  std::string near = siblings.empty() ? nearest_of(wanted, names) : nearest_of(use.name, siblings);
  if (!near.empty() && !siblings.empty()) near = short_name(use.package, near);
  std::string hint;
  if (!near.empty())
    hint = fmt::format("did you mean \"{}\"? ", near);
  else if (!names.empty())
    hint = fmt::format("there are: {}; ", fmt::join(names, ", "));
  diagnostics.error(use.at,
                    fmt::format("there is no {} policy {}", kind_name(kind), config::quote(wanted)),
                    hint + searched(diagnostics));
  return Status::kConfigError;
}

Loader::Resolved Loader::resolve(const config::PolicyUse& use, Kind kind,
                                 config::Diagnostics& diagnostics) {
  scan();
  Resolved out;
  out.at = use.at;
  const std::string pin = config::lower_case(use.sha256);
  if (use.name.empty() || (path_.require_sha256 && pin.empty())) {
    out.status = Status::kConfigError;
    return out;
  }
  Match match{};
  if (find(use, kind, match) == nullptr) {
    out.status = not_found(use, kind, diagnostics);
    return out;
  }
  for (size_t i = 0; i < match.file && !path_.require_sha256; ++i)
    if (seems_to_offer(i, use))
      diagnostics.warning(use.at,
                          fmt::format("{} is taken from {}, since {}, which comes first and seems "
                                      "to offer it, is refused: it {}",
                                      use.full_name(), images_[match.file].path.string(),
                                      images_[i].path.string(), infos_[i].refusal->why),
                          infos_[i].refusal->fix);
  const Image& image = images_[match.file];
  if (!pin.empty() && pin != image.sha256) {
    diagnostics.error(
        use.at,
        fmt::format("{} is in {}, whose sha256 is {}, not the {} that is asked for",
                    use.full_name(), image.path.string(), image.sha256, pin),
        "put the right file there, or, if this one is to be trusted, write its sha256");
    out.status = Status::kRefused;
    return out;
  }
  const size_t errors = diagnostics.all().size();
  out.values = bind_params(match.policy->params, use.params, use.full_name(), diagnostics);
  if (diagnostics.all().size() != errors)
    out.status = Status::kConfigError;
  else if (!use.shadow)
    out.choice = match.policy, out.file = match.file;
  return out;
}

Loader::Status Loader::load(std::span<Resolved> all, config::Diagnostics& diagnostics) {
  std::vector<PluginRegistry::Wanted> wanted;
  for (Resolved& one : all)
    if (one.choice != nullptr)
      wanted.push_back({&images_[one.file], &infos_[one.file], one.choice, one.values, {}, {}});
  const bool good = registry_.make(wanted);
  for (auto it = wanted.begin(); Resolved & one : all) {
    if (one.choice == nullptr) continue;
    one.policy = std::move(it->made);
    if (it->refusal)
      diagnostics.error(
          one.at, fmt::format("{} is refused: it {}", it->image->path.string(), it->refusal->why),
          it->refusal->fix);
    ++it;
  }
  return good ? Status::kOk : Status::kRefused;
}

std::vector<PluginInfo> describe_all(const SearchPath& path) {
  std::vector<PluginInfo> plugins = Loader(path).files();
  std::set<std::pair<Kind, std::string>> offered;
  for (PluginInfo& plugin : plugins)
    for (const PolicyInfo& policy : plugin.policies)
      if (!offered.insert({policy.kind, plugin.package + "/" + policy.name}).second)
        plugin.notes.push_back(
            fmt::format("offers the {} policy {}/{}, but a file before it does, too, and wins",
                        kind_name(policy.kind), plugin.package, policy.name));
  return plugins;
}

PluginInfo describe_file(const fs::path& file) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(file, error);
  std::vector<Image> images;
  images.push_back(open_image(error ? file : real, {}, kFileBytesMax));
  PluginInfo info = PluginRegistry::instance().describe(images).front();
  if (const auto place = check_place(real, real.parent_path()); place && !info.refusal)
    info.notes.push_back(fmt::format("cannot be used where it is: it {}", place->why));
  return info;
}

std::vector<PluginInfo> find_plugins(const std::vector<PluginInfo>& plugins,
                                     std::string_view name) {
  std::vector<PluginInfo> found;
  for (const PluginInfo& plugin : plugins) {
    const auto named = [&](const PolicyInfo& policy) {
      return plugin.package + "/" + policy.name == name ||
             short_name(plugin.package, policy.name) == name;
    };
    if (!plugin.refusal && (plugin.package == name ||
                            std::any_of(plugin.policies.begin(), plugin.policies.end(), named)))
      found.push_back(plugin);
  }
  return found;
}

}  // namespace sluice::plugins
