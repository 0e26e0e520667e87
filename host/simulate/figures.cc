#include "host/simulate/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace sluice::simulate {
namespace {

using Value = std::optional<double>;

constexpr double kWorkTolerance = 0.01;   // of what counts all the work
constexpr double kLatencyFloorS = 0.001;  // nobody feels less
constexpr double kItlFloorS = 0.0001;     // a part of every token's time
constexpr double kShareFloor = 0.005;     // of shares: half a point
constexpr double kServiceFloor = 1000;    // weighted tokens: about one long request

const Group* band_of(const RunResult& run, const std::string& name) {
  for (const Group& band : run.bands) {
    if (band.name == name) return &band;
  }
  return nullptr;
}

std::vector<std::string> band_names(const std::vector<RunResult>& runs) {
  std::vector<std::string> names;
  for (const RunResult& run : runs) {
    for (const Group& band : run.bands) {
      if (std::find(names.begin(), names.end(), band.name) == names.end()) {
        names.push_back(band.name);
      }
    }
  }
  return names;
}

// Builds the list; FIXED fields of a figure first, then how to read it off a run.
class List {
 public:
  explicit List(const std::vector<RunResult>& runs) : runs_(runs) {}

  Figure& add(Figure figure, const std::function<Value(const RunResult&)>& read) {
    for (const RunResult& run : runs_) {
      Value value = read(run);
      if (value && !std::isfinite(*value)) value.reset();
      figure.values.push_back(value);
    }
    figures_.push_back(std::move(figure));
    return figures_.back();
  }

  // Of the requests of BAND; "" = of all.
  void add_group(const std::string& band, Figure figure,
                 const std::function<Value(const Group&)>& read) {
    figure.band = band;
    add(std::move(figure), [&](const RunResult& run) -> Value {
      const Group* group = band.empty() ? &run.all : band_of(run, band);
      return group == nullptr ? std::nullopt : read(*group);
    });
  }

  // Q: nothing = the mean.
  void add_latency(const std::string& band, const std::string& name, const std::string& key,
                   Histogram Group::*of, std::optional<double> q, double floor) {
    const std::string which = q ? fmt::format("p{:g}", *q * 100) : "mean";
    add_group(band,
              {.name = name + " " + which,
               .spoken = which + " " + name,
               .key = fmt::format("{}_{}_s", key, which),
               .unit = Unit::kSeconds,
               .better = Better::kLess,
               .floor = floor,
               .minor = key != "regret" && q != 0.99},
              [&](const Group& group) -> Value {
                const Histogram& histogram = group.*of;
                if (histogram.count() == 0) return std::nullopt;
                return q ? histogram.quantile_s(*q) : histogram.mean_s();
              });
  }

  std::vector<Figure> take() { return std::move(figures_); }

 private:
  const std::vector<RunResult>& runs_;
  std::vector<Figure> figures_;
};

Value completed_share(const Group& group) {
  if (ended(group) == 0) return std::nullopt;
  return static_cast<double>(group.completed()) / static_cast<double>(ended(group));
}

void add_all(List& list) {
  list.add({.name = "throughput",
            .spoken = "throughput",
            .key = "tokens_per_s",
            .unit = Unit::kTokensPerSecond,
            .better = Better::kMore,
            .tolerance = kWorkTolerance},
           [](const RunResult& run) { return run.tokens_per_s; });
  list.add({.name = "offered", .unit = Unit::kTokensPerSecond},
           [](const RunResult& run) { return run.offered_tokens_per_s; });
  const auto count = [&](const char* name, uint64_t (*read)(const Group&)) {
    list.add_group("", {.name = name, .unit = Unit::kCount},
                   [&](const Group& group) { return static_cast<double>(read(group)); });
  };
  count("completed", [](const Group& group) { return group.completed(); });
  count("refused", refused);
  count("expired", expired);
  list.add_group("",
                 {.name = "SLO attained",
                  .spoken = "SLO attainment",
                  .key = "slo_attainment",
                  .unit = Unit::kShare,
                  .better = Better::kMore,
                  .tolerance = kWorkTolerance,
                  .floor = kShareFloor},
                 slo_attainment);
  list.add_latency("", "ITL", "itl", &Group::itl, 0.5, kItlFloorS);
  list.add_latency("", "ITL", "itl", &Group::itl, 0.99, kItlFloorS);
  list.add_latency("", "E2E", "e2e", &Group::e2e, 0.99, kLatencyFloorS);
  list.add_latency("", "regret", "regret", &Group::regret, std::nullopt, kLatencyFloorS);
  list.add({.name = "fairness gap",
            .spoken = "fairness gap",
            .key = "accumulated_gap",
            .unit = Unit::kTokens,
            .better = Better::kLess,
            .floor = kServiceFloor},
           [](const RunResult& run) { return run.fairness.accumulated_gap; });
  list.add({.name = "Jain index", .unit = Unit::kPlain}, [](const RunResult& run) -> Value {
    if (run.fairness.tenants == 0) return std::nullopt;
    return run.fairness.jain;
  });
  list.add({.name = "idle while waiting", .unit = Unit::kSeconds},
           [](const RunResult& run) { return run.idle_while_waiting_s; });
  // Where no prompt begins as another does there is nothing to hit.
  const auto hits = [](const RunResult& run) { return run.hit_rate > 0 || run.ideal_hit_rate > 0; };
  list.add({.name = "prefix hit rate",
            .spoken = "prefix hit rate",
            .key = "hit_rate",
            .unit = Unit::kShare,
            .better = Better::kMore,
            .floor = kShareFloor},
           [&](const RunResult& run) { return hits(run) ? Value(run.hit_rate) : std::nullopt; });
  list.add({.name = "one cache for all", .unit = Unit::kShare}, [&](const RunResult& run) {
    return hits(run) ? Value(run.pooled_hit_rate) : std::nullopt;
  });
  list.add({.name = "boundless cache", .unit = Unit::kShare}, [&](const RunResult& run) {
    return hits(run) ? Value(run.ideal_hit_rate) : std::nullopt;
  });
}

void add_band(List& list, const std::string& band) {
  list.add_group(band,
                 {.name = "completed",
                  .spoken = "completed share",
                  .key = "completed_share",
                  .unit = Unit::kShare,
                  .better = Better::kMore,
                  .tolerance = kWorkTolerance,
                  .floor = kShareFloor},
                 completed_share);
  list.add_latency(band, "TTFT", "ttft", &Group::ttft, std::nullopt, kLatencyFloorS);
  list.add_latency(band, "TTFT", "ttft", &Group::ttft, 0.5, kLatencyFloorS);
  list.add_latency(band, "TTFT", "ttft", &Group::ttft, 0.99, kLatencyFloorS);
  list.add_latency(band, "wait", "wait", &Group::wait, std::nullopt, kLatencyFloorS);
  list.add_latency(band, "wait", "wait", &Group::wait, 0.99, kLatencyFloorS);
}

uint64_t count_of(const Group& group, std::initializer_list<Outcome> outcomes) {
  uint64_t sum = 0;
  for (const Outcome outcome : outcomes) sum += group.ended[static_cast<size_t>(outcome)];
  return sum;
}

const char* unit_text(Unit unit) {
  switch (unit) {
    case Unit::kTokens:
      return " tokens";
    case Unit::kTokensPerSecond:
      return " tokens/s";
    case Unit::kRequestsPerSecond:
      return " requests/s";
    case Unit::kSeconds:
      return " s";
    case Unit::kShare:
      return " %";
    case Unit::kCount:
    case Unit::kPlain:
      break;
  }
  return "";
}

// Decimals that show three digits of a number like LARGEST.
int decimals_for(double largest) {
  if (largest >= 100) return 0;
  return largest >= 10 ? 1 : largest >= 1 ? 2 : 3;
}

std::string number(double value, int decimals) {
  return decimals == 0 ? grouped(value) : fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

std::vector<Figure> figures_of(const std::vector<RunResult>& runs) {
  List list(runs);
  add_all(list);
  for (const std::string& band : band_names(runs)) add_band(list, band);
  std::vector<Figure> figures = list.take();
  // Nobody asks what no run can answer.
  std::erase_if(figures, [](const Figure& figure) {
    return std::none_of(figure.values.begin(), figure.values.end(),
                        [](const Value& value) { return value.has_value(); });
  });
  return figures;
}

Standing standing(const Figure& figure, size_t run) {
  const Value& first = figure.values[0];
  const Value& value = figure.values[run];
  if (figure.better == Better::kNeither || !first || !value) return Standing::kUnknown;
  const double more = *value - *first;
  if (std::abs(more) <= figure.floor) return Standing::kSame;
  if (std::abs(more) <= figure.tolerance * std::abs(*first)) return Standing::kSame;
  return (more > 0) == (figure.better == Better::kMore) ? Standing::kBetter : Standing::kWorse;
}

std::optional<double> ratio(const Figure& figure, size_t run) {
  const Value& first = figure.values[0];
  const Value& value = figure.values[run];
  if (!first || !value) return std::nullopt;
  if (*first == 0) return *value == 0 ? Value(1) : std::nullopt;
  return *value / *first;
}

std::vector<std::string> cells(const Figure& figure) {
  double largest = 0;
  for (const Value& value : figure.values) {
    if (value) largest = std::max(largest, std::abs(*value));
  }
  double scale = 1;
  const char* unit = unit_text(figure.unit);
  int decimals = 0;
  switch (figure.unit) {
    case Unit::kSeconds:
      if (largest < 1) scale = 1000, unit = " ms";
      decimals = largest == 0 ? 0 : decimals_for(largest * scale);
      break;
    case Unit::kShare:
      scale = 100;
      decimals = 1;
      break;
    case Unit::kPlain:
      decimals = 3;
      break;
    default:
      break;
  }
  std::vector<std::string> out;
  for (const Value& value : figure.values) {
    out.push_back(value ? number(*value * scale, decimals) + unit : "-");
  }
  return out;
}

std::string with_unit(Unit unit, double value) {
  return cells({.unit = unit, .values = {value}})[0];
}

std::string grouped(double value) {
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  std::string out = value < 0 && digits != "0" ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

uint64_t ended(const Group& group) {
  return std::accumulate(group.ended.begin(), group.ended.end(), uint64_t{0});
}

uint64_t expired(const Group& group) { return count_of(group, {Outcome::kExpired}); }

uint64_t refused(const Group& group) {
  return count_of(
      group, {Outcome::kRejectedFull, Outcome::kRejectedNoEndpoint, Outcome::kRejectedUnknownModel,
              Outcome::kRejectedBad, Outcome::kRejectedDraining, Outcome::kDrained,
              Outcome::kEvicted, Outcome::kRevoked});
}

std::optional<double> slo_attainment(const Group& group) {
  const uint64_t over = ended(group);
  if (over == 0) return std::nullopt;
  return static_cast<double>(group.slo_met) / static_cast<double>(over);
}

}  // namespace sluice::simulate
