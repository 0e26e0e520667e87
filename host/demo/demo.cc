#include "host/demo/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "host/demo/display.h"
#include "host/demo/scenario.h"
#include "host/demo/stage.h"
#include "host/exit_codes.h"

namespace sluice::demo {
namespace {

constexpr int kExitInterrupted = 130;

// A directory of its own, gone with it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(bool keep) : keep_(keep) {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!keep_ && !path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool keep_;
};

Result<Scenario> choose(const DemoOptions& options, Display& display) {
  if (options.trace.empty()) {
    auto scenario = scenario_named(options.scenario);
    if (!scenario) {
      return Error{fmt::format("error: no scenario {}; there are {}", options.scenario,
                               fmt::join(scenario_names(), ", "))};
    }
    if (options.duration_s) scenario->duration_s = *options.duration_s;
    if (options.runs) scenario->runs = *options.runs;
    return *std::move(scenario);
  }
  std::ifstream in(options.trace);
  if (!in) {
    return Error{
        fmt::format("error: cannot read {}: {}", options.trace.string(), std::strerror(errno))};
  }
  auto rows = read_trace(in, options.trace.string());
  if (!rows) return Error{rows.error()};
  TraceScale scale = options.scale;
  if (options.duration_s) scale.duration_s = *options.duration_s;
  scale.first_token_ms = kFirstTokenMs;
  scale.inter_token_ms = kInterTokenMs;
  auto scaled = scale_trace(*rows, scale);
  if (!scaled) return Error{fmt::format("{}: error: {}", options.trace.string(), scaled.error())};
  std::vector<Arrival> arrivals;
  for (const TraceRow& row : scaled->rows) {
    arrivals.push_back({row.at_ns, 0, row.prompt_tokens, row.output_tokens});
  }
  Scenario scenario = trace_scenario(std::move(arrivals), scale.duration_s);
  if (options.runs) scenario.runs = *options.runs;
  display.line(fmt::format(
      "{} requests of {} in {:g} s: {:.2f} times as fast, {:g} times the tokens, {:.0f} % of what "
      "the slots can do",
      scaled->rows.size(), options.trace.filename().string(), scale.duration_s, scaled->speed,
      scale.tokens, 100 * scaled->load));
  return scenario;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  Display display(stdout, !options.plain && ::isatty(STDOUT_FILENO) == 1);
  const auto scenario = choose(options, display);
  if (!scenario) {
    fmt::print(stderr, "{}\n", scenario.error());
    return kExitUsage;
  }
  const TemporaryDirectory directory(options.keep);
  if (directory.path().empty()) {
    fmt::print(stderr, "error: cannot make a temporary directory: {}\n", std::strerror(errno));
    return kExitRuntime;
  }
  display.line(fmt::format("{}: {}", scenario.value().name, scenario.value().title));
  if (options.keep) display.line("files: " + directory.path().string());

  Stage stage(scenario.value(), directory.path(), {options.envoy, options.envoy_bootstrap},
              options.seed, display);
  std::vector<std::vector<PartResult>> runs;
  for (uint32_t run = 0; run < scenario.value().runs; ++run) {
    auto parts = stage.play(run);
    if (!parts) {
      display.clear();
      fmt::print(stderr, "error: {}\n", parts.error());
      return kExitRuntime;
    }
    if (stage.interrupted()) {
      display.line("interrupted");
      return kExitInterrupted;
    }
    runs.push_back(std::move(*parts));
  }

  std::vector<PartResult> medians;
  for (size_t p = 0; p < scenario.value().parts.size(); ++p) {
    std::vector<PartResult> of_part;
    for (auto& run : runs) of_part.push_back(run[p]);
    medians.push_back(median(of_part));
  }
  const auto promises = scenario.value().judge(medians);
  display.line("");
  for (size_t p = 0; p < medians.size(); ++p) {
    display.line(render_table(scenario.value().parts[p], medians[p]));
  }
  display.line(render_promises(promises));
  if (!options.json.empty()) {
    std::ofstream out(options.json);
    out << render_json(scenario.value(), runs, medians, promises);
    out.close();
    if (!out) {
      fmt::print(stderr, "error: cannot write {}: {}\n", options.json.string(),
                 std::strerror(errno));
      return kExitRuntime;
    }
  }
  const bool kept =
      std::all_of(promises.begin(), promises.end(), [](const Promise& p) { return p.kept; });
  return kept ? kExitOk : kExitRuntime;
}

}  // namespace sluice::demo
