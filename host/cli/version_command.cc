#include "host/cli/version_command.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <sluice/abi.h>
#include <boost/version.hpp>

#include "host/exit_codes.h"

namespace sluice {

void add_version_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("version", "Print versions");
  command->callback([&exit_code] {
    fmt::print("sluice {}\nplugin ABI {}.{} (minor must match)\n", SLUICE_VERSION, SLUICE_ABI_MAJOR,
               SLUICE_ABI_MINOR);
    fmt::print("built with {} {}, Boost {}.{}.{}, fmt {}, simdjson {}\n",
#ifdef __clang__
               "clang",
#else
               "g++",
#endif
               __VERSION__, BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100,
               FMT_VERSION, SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
    exit_code = kExitOk;
  });
}

}  // namespace sluice
