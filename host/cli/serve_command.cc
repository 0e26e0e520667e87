#include "host/cli/serve_command.h"

#include <memory>

#include "host/plugins/crash.h"
#include "host/serve/host.h"

namespace sluice {

void add_serve_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Serve a pipeline.toml until SIGTERM");
  command->add_option("-c,--config", options->config, "the pipeline.toml")->required();
  command
      ->add_option("--threads", options->threads, "proxy threads; 0 = one for each core, at most 8")
      ->check(CLI::Range(0, 256));
  command->callback([options, &exit_code] {
    plugins::install_crash_handler();
    exit_code = serve(*options);
  });
}

}  // namespace sluice
