#include "host/simulate/replay.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "host/exit_codes.h"
#include "host/simulate/report.h"
#include "host/simulate/requests_csv.h"
#include "host/simulate/setup.h"
#include "host/simulate/simulation.h"
#include "host/simulate/summary_json.h"
#include "host/simulate/summary_text.h"
#include "host/traces/open.h"

namespace sluice::simulate {
namespace {

// One line on a terminal that is written over; nothing elsewhere.
class ProgressBar {
 public:
  explicit ProgressBar(const std::string& label)
      : label_(label), shown_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressBar() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  void show(double part) const {
    if (!shown_) return;
    constexpr size_t kWidth = 40;
    const auto done = static_cast<size_t>(std::clamp(part, 0.0, 1.0) * kWidth);
    fmt::print(stderr, "\r{} [{}{}] {:3.0f} %", label_, std::string(done, '#'),
               std::string(kWidth - done, '.'), part * 100);
    std::fflush(stderr);
  }

 private:
  const std::string label_;
  const bool shown_;
};

// NAME, or if a run is called so already NAME-2 and so on.
std::string unique(const std::string& name, const std::vector<RunResult>& runs) {
  std::string label = name;
  const auto taken = [&](const RunResult& run) { return run.label == label; };
  for (int n = 2; std::ranges::any_of(runs, taken); ++n) label = fmt::format("{}-{}", name, n);
  return label;
}

Result<void> write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out)
    return Error{
        fmt::format("{}: error: cannot be written: {}", file.string(), std::strerror(errno))};
  return {};
}

Result<void> check_bands(const Setup& setup, const traces::TraceOptions& options) {
  for (const traces::BandShare& share : options.bands) {
    const auto& bands = setup.pipeline.bands;
    if (std::ranges::count(bands, share.band, &BandConfig::name) != 0) continue;
    std::string known;
    for (const BandConfig& band : bands) known += (known.empty() ? "" : ", ") + band.name;
    return Error{
        fmt::format("error: --bands names \"{}\", which {} does not have; its bands are {}",
                    share.band, setup.file, known)};
  }
  return {};
}

// Whether FILE is about to be written over though it is what is replayed.
Result<void> check_output(const std::filesystem::path& file, const std::filesystem::path& trace) {
  std::error_code not_there;
  if (!std::filesystem::equivalent(file, trace, not_there)) return {};
  return Error{fmt::format(
      "{}: error: this is the trace itself; choose another directory with --out", file.string())};
}

// The run of one configuration; its requests.csv goes to DIRECTORY.
Result<RunResult> run_once(const Setup& setup, const ReplayOptions& options, bool direct,
                           const std::string& label, const std::filesystem::path& directory) {
  traces::TraceOptions trace_options = options.traces;
  trace_options.seed = options.seed;
  auto trace = traces::open_trace(options.trace, trace_options);
  if (!trace) return Error{trace.error()};
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return Error{fmt::format("{}: error: cannot be made: {}", directory.string(), error.message())};
  const std::filesystem::path requests = directory / "requests.csv";
  if (auto fine = check_output(requests, options.trace); !fine) return Error{fine.error()};
  auto csv = RequestsCsv::open(requests.string());
  if (!csv) return Error{csv.error()};

  const ProgressBar bar(label);
  RunOptions run_options;
  run_options.seed = options.seed;
  run_options.direct = direct;
  run_options.measures = options.measures;
  run_options.on_finished = [&](const FinishedRequest& request) { (*csv)->add(request); };
  run_options.on_progress = [&](double part) { bar.show(part); };
  auto result = run(setup, **trace, run_options);
  if (!result) return result;
  if (auto written = (*csv)->close(); !written) return Error{written.error()};
  result->label = label;
  result->trace = options.trace.string();
  result->servers = options.servers.string();
  if (result->all.requests == 0)
    return Error{fmt::format("{}: error: not one request in it", options.trace.string())};
  return result;
}

}  // namespace

int replay(const ReplayOptions& options) {
  const auto fail = [](const std::string& message, int code) {
    fmt::print(stderr, "{}{}", message, message.ends_with('\n') ? "" : "\n");
    return code;
  };
  config::Diagnostics diagnostics;
  const auto servers = load_servers(options.servers, diagnostics);
  if (!servers) return fail(diagnostics.render(), kExitConfig);

  // All configurations are looked at before the first one runs.
  std::vector<Setup> setups;
  for (const std::filesystem::path& config : options.configs) {
    SetupResult made = set_up(config, *servers, options.seed);
    fmt::print(stderr, "{}", made.messages);
    if (!made.setup) return made.exit_code;
    if (auto known = check_bands(*made.setup, options.traces); !known)
      return fail(known.error(), kExitUsage);
    setups.push_back(std::move(*made.setup));
  }

  std::vector<RunResult> runs;
  for (size_t i = 0; i < setups.size(); ++i) {
    const std::string label = unique(options.configs[i].stem().string(), runs);
    for (const bool direct : {false, true}) {
      if (direct && !options.direct) continue;
      const std::string name = direct ? unique(label + "-direct", runs) : label;
      // The first run's requests stand where those of a single run would.
      auto result = run_once(setups[i], options, direct, name,
                             runs.empty() ? options.out : options.out / name);
      if (!result) return fail(result.error(), kExitRuntime);
      runs.push_back(std::move(*result));
    }
  }

  const std::string summary = summary_json(runs).dump(2) + "\n";
  for (const auto& [name, text] :
       {std::pair{"summary.json", summary}, {"report.html", report_html(runs)}})
    if (auto written = write_file(options.out / name, text); !written)
      return fail(written.error(), kExitRuntime);
  if (options.json) {
    fmt::print("{}", summary);
  } else {
    fmt::print("{}\n{}\n", summary_text(runs), (options.out / "report.html").string());
  }
  return kExitOk;
}

}  // namespace sluice::simulate
