#include "host/cli/plugin_command.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "host/cli/plugin_release.h"
#include "host/config/diagnostics.h"
#include "host/config/text.h"
#include "host/exit_codes.h"
#include "host/plugins/loader.h"
#include "host/plugins/render.h"

namespace sluice {
namespace {

struct Arguments {
  std::string config, what, admin;
  std::vector<std::string> directories;
  bool json = false;
};

// What -c names, if anything; or an exit code.
int load_config(const Arguments& arguments, std::optional<config::Config>& config) {
  if (arguments.config.empty()) return kExitOk;
  config::Diagnostics diagnostics;
  config = config::load(arguments.config, diagnostics);
  fmt::print(stderr, "{}", diagnostics.render());
  return config ? kExitOk : kExitConfig;
}

// The directories to look in, or an exit code.
int find_directories(const Arguments& arguments, plugins::SearchPath& path) {
  std::optional<config::Config> config;
  if (const int code = load_config(arguments, config); code != kExitOk) return code;
  path = plugins::search_path(config ? &*config : nullptr);
  for (auto it = arguments.directories.rbegin(); it != arguments.directories.rend(); ++it)
    path.directories.insert(path.directories.begin(), std::filesystem::absolute(*it));
  return kExitOk;
}

int list(const Arguments& arguments) {
  plugins::SearchPath path;
  if (const int code = find_directories(arguments, path); code != kExitOk) return code;
  const std::vector<plugins::PluginInfo> all = plugins::describe_all(path);
  fmt::print("{}", arguments.json ? plugins::render_json(all) : plugins::render_list(all));
  return kExitOk;
}

// ", did you mean '...'?" if a policy's name is near WHAT, with or without its package.
std::string guess(const std::vector<plugins::PluginInfo>& all, std::string_view what) {
  std::map<std::string, std::string, std::less<>> meant;
  for (const plugins::PluginInfo& plugin : all) {
    for (const plugins::PolicyInfo& policy : plugin.policies) {
      const std::string name = plugins::short_name(plugin.package, policy.name);
      meant.try_emplace(policy.name, name);
      meant.try_emplace(plugin.package + "/" + policy.name, name);
    }
  }
  std::vector<std::string_view> candidates;
  for (const auto& [name, _] : meant) candidates.push_back(name);
  const auto found = meant.find(config::nearest(what, candidates));
  return found == meant.end() ? "" : fmt::format(", did you mean '{}'?", found->second);
}

int inspect(const Arguments& arguments) {
  std::error_code error;
  if (std::filesystem::exists(arguments.what, error)) {
    const plugins::PluginInfo info = plugins::describe_file(arguments.what);
    fmt::print("{}", arguments.json ? plugins::render_json(info) : plugins::render_plugin(info));
    return info.refusal ? kExitPlugin : kExitOk;
  }
  plugins::SearchPath path;
  if (const int code = find_directories(arguments, path); code != kExitOk) return code;
  const std::vector<plugins::PluginInfo> all = plugins::describe_all(path);
  const std::vector<plugins::PluginInfo> found = plugins::find_plugins(all, arguments.what);
  if (found.empty()) {
    fmt::print(
        stderr,
        "sluice plugin inspect: there is no file '{}' and no plugin or policy of that name{}; "
        "`sluice plugin list` shows what there is\n",
        config::printable(arguments.what), guess(all, arguments.what));
    return kExitRuntime;
  }
  if (arguments.json) {
    fmt::print("{}", plugins::render_json(found));
    return kExitOk;
  }
  for (size_t i = 0; i < found.size(); ++i)
    fmt::print("{}{}", i == 0 ? "" : "\n", plugins::render_plugin(found[i]));
  return kExitOk;
}

int release(const Arguments& arguments) {
  std::string admin = arguments.admin;
  if (admin.empty()) {
    std::optional<config::Config> config;
    if (const int code = load_config(arguments, config); code != kExitOk) return code;
    if (!config || !config->admin) {
      fmt::print(stderr,
                 "sluice plugin release: say which host: --admin ADDRESS, or -c with a "
                 "pipeline.toml that has [admin]\n");
      return kExitUsage;
    }
    admin = config->admin->text;
  }
  return release_policy(arguments.what, admin);
}

}  // namespace

void add_plugin_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("plugin", "Work with plugins and their policies");
  command->require_subcommand(1);
  const auto add_common = [&](CLI::App* sub) {
    sub->add_option("-c,--config", arguments->config, "look where this pipeline.toml does");
    sub->add_option("-d,--directory", arguments->directories, "look here first; may be repeated");
    sub->add_flag("--json", arguments->json, "print JSON");
  };
  CLI::App* list_command =
      command->add_subcommand("list", "List every policy and every refused file");
  add_common(list_command);
  list_command->callback([arguments, &exit_code] { exit_code = list(*arguments); });
  CLI::App* inspect_command =
      command->add_subcommand("inspect", "Show plugins with their policies and parameters");
  inspect_command->add_option("WHAT", arguments->what, "a file, or the name of a package or policy")
      ->required();
  add_common(inspect_command);
  CLI::App* release_command =
      command->add_subcommand("release", "Let a policy of a running host out of quarantine");
  release_command->add_option("POLICY", arguments->what, "as pipeline.toml names it")->required();
  release_command->add_option("--admin", arguments->admin, "the host's [admin] address");
  release_command->add_option("-c,--config", arguments->config, "take it from this pipeline.toml");
  release_command->callback([arguments, &exit_code] { exit_code = release(*arguments); });
  inspect_command->callback([arguments, &exit_code] { exit_code = inspect(*arguments); });
}

}  // namespace sluice
