#include "host/demo/scenario.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::demo {
namespace {

constexpr double kPoliteP50Ms = 65;
constexpr double kFirstByteP99Ms = 110;
constexpr const char* kModel = "sim-model";

const std::vector<BandSpec> kThreeBands = {{"critical", 100}, {"default", 0}, {"sheddable", -10}};

Group group(std::string name, std::string tenant, std::string objective, uint32_t open) {
  Group out;
  out.name = std::move(name);
  out.tenant = std::move(tenant);
  out.objective = std::move(objective);
  out.open = open;
  return out;
}

Promise at_most(std::string_view what, double value, double bound, std::string_view unit) {
  return {fmt::format("{}: {:.1f} {}, at most {:g} {}", what, value, unit, bound, unit),
          value <= bound};
}

constexpr double kNoise = 1.05;  // two plays of one load differ by this much

Promise no_worse(std::string_view what, double value, double direct, std::string_view unit) {
  return {fmt::format("{}: {:.1f} {}, no more than the {:.1f} {} without Sluice", what, value, unit,
                      direct, unit),
          value <= direct * kNoise};
}

Promise throughput(const PartResult& part, double percent) {
  const double direct = part.direct->per_second;
  const double share = direct > 0 ? 100 * part.sluice.per_second / direct : 0;
  return {fmt::format("throughput: {:.1f} requests/s, {:.1f} % of the {:.1f} that the servers give "
                      "alone, at least {:g} %",
                      part.sluice.per_second, share, direct, percent),
          share >= percent};
}

// Through Sluice every request got a whole answer, with a 2xx and exactly the tokens it asked for.
Promise all_answered(const std::vector<PartResult>& parts) {
  uint64_t sent = 0, good = 0, inexact = 0;
  std::string others, error;
  for (const PartResult& part : parts) {
    for (const GroupReport& g : part.sluice.groups) {
      sent += g.sent;
      inexact += g.inexact;
      for (const auto& [status, count] : g.statuses) {
        if (status == 200) good += count;
        if (status != 200) others += fmt::format(", {} x {}", count, status);
      }
    }
    if (error.empty()) error = part.sluice.first_error;
  }
  std::string text = fmt::format("answers: {} of {} requests, each with its tokens", good, sent);
  if (inexact != 0) text += fmt::format(", {} with more or fewer", inexact);
  text += others;
  if (!error.empty()) text += "; first error: " + error;
  return {text, good == sent && inexact == 0 && sent != 0};
}

Scenario main_scenario() {
  Scenario s;
  s.name = "main";
  s.title = "two tenants in three bands: flood sends all it can, polite a little";
  s.server_models.assign(4, kModel);
  s.bands = kThreeBands;
  s.duration_s = 14;
  // Critical and default together fill half of the slots, so that sheddable has something to share.
  s.parts = {{.title = "",
              .groups = {group("critical polite", "polite", "critical", 2),
                         group("critical flood", "flood", "critical", 2),
                         group("default polite", "polite", "default", 4),
                         group("default flood", "flood", "default", 8),
                         group("sheddable polite", "polite", "sheddable", 2),
                         group("sheddable flood", "flood", "sheddable", 180)},
              .arrivals = {}}};
  s.judge = [](const std::vector<PartResult>& parts) {
    const LoadReport& r = parts[0].sluice;
    const double critical = std::max(r.group("critical polite").first_byte_ms.p99,
                                     r.group("critical flood").first_byte_ms.p99);
    const double polite = r.group("sheddable polite").first_byte_ms.p50;
    const double flood = r.group("sheddable flood").first_byte_ms.p50;
    return std::vector<Promise>{
        at_most("critical, p99 to first byte", critical, kFirstByteP99Ms, "ms"),
        {fmt::format("sheddable, p50 to first byte: polite {:.0f} ms, at most a quarter of flood's "
                     "{:.0f} ms",
                     polite, flood),
         polite > 0 && polite <= flood / 4},
        throughput(parts[0], 95),
        all_answered(parts)};
  };
  return s;
}

Scenario contention_scenario() {
  Scenario s;
  s.name = "contention";
  s.title = "no scheduling regret: flood keeps 200 requests open, polite 2, in one band";
  s.server_models.assign(4, kModel);
  s.bands = {{"default", 0}};
  s.duration_s = 60;
  s.runs = 3;
  s.parts = {{.title = "",
              .groups = {group("polite", "polite", "", 2), group("flood", "flood", "", 200)},
              .arrivals = {}}};
  s.judge = [](const std::vector<PartResult>& parts) {
    const Summary& polite = parts[0].sluice.group("polite").first_byte_ms;
    return std::vector<Promise>{
        throughput(parts[0], 97.5),
        at_most("polite, p50 to first byte", polite.p50, kPoliteP50Ms, "ms"),
        at_most("polite, p99 to first byte", polite.p99, kFirstByteP99Ms, "ms"),
        all_answered(parts)};
  };
  return s;
}

// The same with nothing configured: how much a server takes is for Sluice to find out.
Scenario auto_scenario() {
  Scenario s = contention_scenario();
  s.name = "auto";
  s.title = "contention again, with room that is learnt and not configured";
  s.gateways = 1;
  s.judge = [](const std::vector<PartResult>& parts) {
    const Summary& polite = parts[0].sluice.group("polite").first_byte_ms;
    return std::vector<Promise>{
        throughput(parts[0], 95), at_most("polite, p50 to first byte", polite.p50, 80, "ms"),
        at_most("polite, p99 to first byte", polite.p99, 200, "ms"), all_answered(parts)};
  };
  return s;
}

// The same through Envoy, which asks Sluice where each request goes.
Scenario envoy_scenario() {
  Scenario s = contention_scenario();
  s.name = "envoy";
  s.title = "contention again, through Envoy: --envoy says where it is";
  s.envoy = true;
  s.judge = [](const std::vector<PartResult>& parts) {
    const Summary& polite = parts[0].sluice.group("polite").first_byte_ms;
    return std::vector<Promise>{
        throughput(parts[0], 96), at_most("polite, p50 to first byte", polite.p50, 66, "ms"),
        at_most("polite, p99 to first byte", polite.p99, 120, "ms"), all_answered(parts)};
  };
  return s;
}

Scenario gateways_scenario() {
  Scenario s = contention_scenario();
  s.name = "gateways";
  s.title = "two Sluices on the same servers, each with more to do than they can take";
  s.gateways = 2;
  s.duration_s = 30;
  s.runs = 1;
  Group first = group("first", "a", "", 100), second = group("second", "b", "", 100);
  first.target = 0;
  second.target = 1;
  s.parts[0].groups = {first, second};
  s.judge = [](const std::vector<PartResult>& parts) {
    const LoadReport& r = parts[0].sluice;
    const double share = 100 * r.group("first").per_second / r.per_second;
    return std::vector<Promise>{throughput(parts[0], 95),
                                {fmt::format("the first one's share: {:.1f} %, 40 to 60 %", share),
                                 share >= 40 && share <= 60},
                                all_answered(parts)};
  };
  return s;
}

// What really bounds an engine is its memory: prompts of all sizes share it, how long an answer
// will be is not known, and what no longer fits is preempted.
Scenario memory_scenario() {
  Scenario s;
  s.name = "memory";
  s.title =
      "servers bound by their KV cache, room that is learnt from metrics that come late or stop";
  s.server_models.assign(4, kModel);
  s.slots = 256;
  s.kv_tokens = 65536;
  s.gateways = 1;
  s.bands = {{"default", 0}};
  s.warmup_s = 5;
  s.duration_s = 30;
  Group group_of_all_sizes = group("prompts of 100-8000", "a", "", 200);
  group_of_all_sizes.prompt_min = 100;
  group_of_all_sizes.prompt_max = 8000;
  group_of_all_sizes.tokens_min = 50;
  group_of_all_sizes.tokens_max = 150;
  s.parts.resize(3);
  for (Part& part : s.parts) part.groups = {group_of_all_sizes};
  s.parts[0].title = "metrics 50 ms late";
  s.parts[0].server_settings = R"({"metrics_delay_ms":50})";
  s.parts[1].title = "metrics 1 s late";
  s.parts[1].server_settings = R"({"metrics_delay_ms":1000})";
  s.parts[2].title = "metrics that stop";
  s.parts[2].settings_once_warm = R"({"metrics":false})";
  std::vector<std::string> titles;
  for (const Part& part : s.parts) titles.push_back(part.title);
  s.judge = [titles](const std::vector<PartResult>& parts) {
    std::vector<Promise> promises;
    for (size_t p = 0; p < parts.size(); ++p) {
      Promise flows = throughput(parts[p], 95);
      flows.text.insert(0, titles[p] + ", ");
      promises.push_back(std::move(flows));
      const ServerWork& work = parts[p].sluice_work;
      const ServerWork& alone = parts[p].direct_work;
      promises.push_back(
          {fmt::format("{}, waiting at a server: {:.2f} requests on average, at most 1; {:.0f} "
                       "preemptions (without Sluice {:.1f} and {:.0f})",
                       titles[p], work.waiting, work.preemptions, alone.waiting, alone.preemptions),
           work.waiting <= 1});
    }
    promises.push_back(all_answered(parts));
    return promises;
  };
  return s;
}

// A request that takes nearly all of a server among many small ones of a lower band: it waits for
// one server to empty, and no longer.
Scenario sizes_scenario() {
  Scenario s;
  s.name = "sizes";
  s.title = "max_in_flight_tokens: critical prompts of 30,000 tokens among small sheddable work";
  s.server_models.assign(4, kModel);
  s.slots = 64;
  s.tokens_in_flight = 32'000;
  s.bands = kThreeBands;
  s.duration_s = 20;
  Group large = group("large, critical", "a", "critical", 2);
  large.prompt_min = large.prompt_max = 30'000;
  Group small = group("small, sheddable", "a", "sheddable", 400);
  small.prompt_min = 100;
  small.prompt_max = 500;
  s.parts = {{.title = "", .groups = {large, small}, .arrivals = {}}};
  s.judge = [](const std::vector<PartResult>& parts) {
    const GroupReport& waits = parts[0].sluice.group("large, critical");
    // The longest answer that was under way, and what the machine adds.
    const double longest = kFirstTokenMs + (Group().tokens_max - 1) * kInterTokenMs;
    return std::vector<Promise>{
        {fmt::format("large, longest wait in the queue: {:.0f} ms over {} requests, at most {:.0f} "
                     "ms, until the longest of the small ones has ended, and 60",
                     waits.queue_ms.max, waits.queue_ms.count, longest),
         waits.queue_ms.count != 0 && waits.queue_ms.max <= longest + 60},
        {fmt::format("small, {:.1f} requests/s meanwhile, more than none",
                     parts[0].sluice.group("small, sheddable").per_second),
         parts[0].sluice.group("small, sheddable").per_second > 0},
        all_answered(parts)};
  };
  return s;
}

Scenario criticality_scenario() {
  Scenario s;
  s.name = "criticality";
  s.title = "strict bands: critical goes first, whatever the others send";
  s.server_models.assign(4, kModel);
  s.bands = kThreeBands;
  s.duration_s = 20;
  s.parts = {
      {.title = "critical alone exceeds the slots",
       .groups = {group("critical", "a", "critical", 40), group("default", "a", "default", 60),
                  group("sheddable", "a", "sheddable", 200)},
       .arrivals = {},
       .direct = false,
       .decision_log = true},
      {.title = "critical within the slots",
       .groups = {group("critical", "a", "critical", 4), group("default", "a", "default", 20),
                  group("sheddable", "a", "sheddable", 200)},
       .arrivals = {}}};
  s.judge = [](const std::vector<PartResult>& parts) {
    return std::vector<Promise>{
        {fmt::format("decision log, {} requests: {}", parts[0].sluice.sent(),
                     parts[0].log_check == 0 ? "no inversion" : parts[0].log_check_text),
         parts[0].log_check == 0},
        at_most("critical, p99 to first byte", parts[1].sluice.group("critical").first_byte_ms.p99,
                kFirstByteP99Ms, "ms"),
        all_answered(parts)};
  };
  return s;
}

Scenario head_of_line_scenario() {
  Scenario s;
  s.name = "head-of-line";
  s.title = "two models on servers of their own, one pool: busy is flooded, calm is not";
  s.server_models = {"busy", "busy", "calm", "calm"};
  s.bands = {{"default", 0}};
  s.duration_s = 10;
  Group busy = group("busy", "a", "", 200), calm = group("calm", "a", "", 4);
  busy.model = "busy";
  calm.model = "calm";
  s.parts = {{.title = "", .groups = {calm, busy}, .arrivals = {}}};
  s.judge = [](const std::vector<PartResult>& parts) {
    const Summary& wait = parts[0].sluice.group("calm").queue_ms;
    return std::vector<Promise>{
        {fmt::format("calm, longest wait in the queue (x-sluice-queue-ms): {:.0f} ms over {} "
                     "requests, 0 promised",
                     wait.max, wait.count),
         wait.count != 0 && wait.max < 1},
        all_answered(parts)};
  };
  return s;
}

constexpr std::pair<std::string_view, Scenario (*)()> kScenarios[] = {
    {"main", main_scenario},
    {"contention", contention_scenario},
    {"envoy", envoy_scenario},
    {"criticality", criticality_scenario},
    {"head-of-line", head_of_line_scenario},
    {"auto", auto_scenario},
    {"gateways", gateways_scenario},
    {"memory", memory_scenario},
    {"sizes", sizes_scenario}};

}  // namespace

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : kScenarios) names.emplace_back(name);
  return names;
}

std::optional<Scenario> scenario_named(std::string_view name) {
  for (const auto& [known, make] : kScenarios)
    if (known == name) return make();
  return std::nullopt;
}

Scenario trace_scenario(std::vector<Arrival> arrivals, double duration_s) {
  Scenario s;
  s.name = "trace";
  s.title = "a real trace, scaled to the servers";
  s.server_models.assign(4, kModel);
  s.bands = {{"default", 0}};
  s.warmup_s = 0;
  s.duration_s = duration_s;
  s.parts = {
      {.title = "", .groups = {group("trace", "trace", "", 0)}, .arrivals = std::move(arrivals)}};
  s.judge = [](const std::vector<PartResult>& parts) {
    const LoadReport& sluice = parts[0].sluice;
    const LoadReport& direct = *parts[0].direct;
    return std::vector<Promise>{no_worse("p99 to first byte", sluice.groups[0].first_byte_ms.p99,
                                         direct.groups[0].first_byte_ms.p99, "ms"),
                                no_worse("last answer after", sluice.seconds, direct.seconds, "s"),
                                all_answered(parts)};
  };
  return s;
}

namespace {

LoadReport median_report(const std::vector<const LoadReport*>& runs) {
  LoadReport out = *runs.front();
  auto median_of = [&](auto get) {
    std::vector<double> values;
    for (const LoadReport* run : runs) values.push_back(get(*run));
    return median(std::move(values));
  };
  out.per_second = median_of([](const LoadReport& r) { return r.per_second; });
  out.tokens_per_second = median_of([](const LoadReport& r) { return r.tokens_per_second; });
  out.seconds = median_of([](const LoadReport& r) { return r.seconds; });
  for (size_t g = 0; g < out.groups.size(); ++g) {
    GroupReport& group = out.groups[g];
    auto summary_of = [&](auto member) {
      std::vector<Summary> values;
      for (const LoadReport* run : runs) values.push_back(run->groups[g].*member);
      return median(values);
    };
    group.per_second = median_of([g](const LoadReport& r) { return r.groups[g].per_second; });
    group.tokens_per_second =
        median_of([g](const LoadReport& r) { return r.groups[g].tokens_per_second; });
    group.first_byte_ms = summary_of(&GroupReport::first_byte_ms);
    group.total_ms = summary_of(&GroupReport::total_ms);
    group.queue_ms = summary_of(&GroupReport::queue_ms);
    for (size_t i = 1; i < runs.size(); ++i) {
      const GroupReport& other = runs[i]->groups[g];
      group.sent += other.sent;
      group.answered += other.answered;
      group.inexact += other.inexact;
      for (const auto& [status, count] : other.statuses) group.statuses[status] += count;
    }
  }
  for (const LoadReport* run : runs) {
    out.interrupted |= run->interrupted;
    if (out.first_error.empty()) out.first_error = run->first_error;
  }
  return out;
}

}  // namespace

PartResult median(const std::vector<PartResult>& runs) {
  PartResult out = runs.front();
  std::vector<const LoadReport*> sluice, direct;
  for (const PartResult& run : runs) {
    sluice.push_back(&run.sluice);
    if (run.direct) direct.push_back(&*run.direct);
    if (run.log_check.value_or(0) != 0) {
      out.log_check = run.log_check;
      out.log_check_text = run.log_check_text;
    }
  }
  out.sluice = median_report(sluice);
  auto work_of = [&](ServerWork PartResult::*side) {
    std::vector<double> waiting, preemptions;
    for (const PartResult& run : runs) {
      waiting.push_back((run.*side).waiting);
      preemptions.push_back((run.*side).preemptions);
    }
    return ServerWork{median(std::move(waiting)), median(std::move(preemptions))};
  };
  out.sluice_work = work_of(&PartResult::sluice_work);
  out.direct_work = work_of(&PartResult::direct_work);
  if (!direct.empty()) out.direct = median_report(direct);
  return out;
}

}  // namespace sluice::demo
