#include "host/cli/plugin_command.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "host/config/diagnostics.h"
#include "host/exit_codes.h"
#include "host/plugins/loader.h"
#include "host/plugins/render.h"

namespace sluice {
namespace {

struct Arguments {
  std::string config, what;
  std::vector<std::string> directories;
  bool json = false;
};

// The directories to look in, or an exit code.
int find_directories(const Arguments& arguments, plugins::SearchPath& path) {
  std::optional<config::Config> config;
  if (!arguments.config.empty()) {
    config::Diagnostics diagnostics;
    config = config::load(arguments.config, diagnostics);
    fmt::print(stderr, "{}", diagnostics.render());
    if (!config) return kExitConfig;
  }
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
  std::optional<plugins::PluginInfo> info;
  std::string hint;
  if (std::filesystem::exists(arguments.what)) {
    info = plugins::describe_file(arguments.what);
  } else {
    plugins::SearchPath path;
    if (const int code = find_directories(arguments, path); code != kExitOk) return code;
    const std::vector<plugins::PluginInfo> all = plugins::describe_all(path);
    if (const auto* found = plugins::find_plugin(all, arguments.what))
      info = *found;
    else
      hint = guess(all, arguments.what);
  }
  if (!info) {
    fmt::print(
        stderr,
        "sluice plugin inspect: there is no file '{}' and no plugin or policy of that name{}; "
        "`sluice plugin list` shows what there is\n",
        arguments.what, hint);
    return kExitRuntime;
  }
  fmt::print("{}", arguments.json ? plugins::render_json(*info) : plugins::render_plugin(*info));
  return info->refusal ? kExitPlugin : kExitOk;
}

}  // namespace

void add_plugin_command(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("plugin", "Show the policies that can be named");
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
      command->add_subcommand("inspect", "Show one plugin with its policies and their parameters");
  inspect_command->add_option("WHAT", arguments->what, "a file, or the name of a package or policy")
      ->required();
  add_common(inspect_command);
  inspect_command->callback([arguments, &exit_code] { exit_code = inspect(*arguments); });
}

}  // namespace sluice
