// What the demo plays: servers, bands, loads, and the promises that the figures are held to.
//
// A scenario has parts; each part is one load, sent through Sluice and, where there is something to
// compare, the same straight to the servers. Its judge sees the medians of all runs, part by part.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/demo/load.h"
#include "host/demo/pipeline_file.h"

namespace sluice::demo {

inline constexpr uint32_t kSlots = 8;  // of each server
inline constexpr double kFirstTokenMs = 50;
inline constexpr double kInterTokenMs = 10;

struct Part {
  std::string title;
  std::vector<Group> groups;
  std::vector<Arrival> arrivals;
  bool direct = true;         // also straight to the servers
  bool decision_log = false;  // written, and checked by `sluice log check`
  // As the servers' /admin/config takes them: from the start on, and from the end of the warmup on.
  std::string server_settings = "{}", settings_once_warm = "{}";
};

// What the servers went through during a load, as they count it.
struct ServerWork {
  // Requests in a server's own queue, averaged over servers: all their waiting, in warmup and drain
  // too, over the measured time.
  double waiting = 0;
  double preemptions = 0;
};

struct PartResult {
  LoadReport sluice;
  std::optional<LoadReport> direct;
  ServerWork sluice_work, direct_work;
  std::optional<int> log_check;  // its exit code: 0 = no violation
  std::string log_check_text;    // what it said
};

struct Promise {
  std::string text;  // what was promised and what came
  bool kept = false;
};

struct Scenario {
  std::string name, title;
  std::vector<std::string> server_models;  // a server each
  uint32_t slots = kSlots;                 // of each server
  uint64_t kv_tokens = 0;                  // of each server's cache; 0 = no limit
  uint64_t tokens_in_flight = 0;           // at each server, where the host is told; 0 = no limit
  std::vector<BandSpec> bands;
  // Hosts that share the servers, all with room that they learn; 0 = one, which is told.
  uint32_t gateways = 0;
  bool envoy = false;  // stands between the load and the host
  std::vector<Part> parts;
  double warmup_s = 2, duration_s = 20;
  uint32_t runs = 1;
  std::function<std::vector<Promise>(const std::vector<PartResult>&)> judge;
};

// One of scenario_names(); nullopt for any other.
std::optional<Scenario> scenario_named(std::string_view name);
std::vector<std::string> scenario_names();
// ARRIVALS of one tenant in open loop.
Scenario trace_scenario(std::vector<Arrival> arrivals, double duration_s);

// The medians of each figure over RUNS (not empty, all of one part); counts are added up.
PartResult median(const std::vector<PartResult>& runs);

}  // namespace sluice::demo
