// [[band]] and what names bands: [[objective]] and [[model]].
#include <fmt/format.h>

#include <algorithm>

#include "core/limits.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

constexpr uint64_t kTtlNs = 60'000'000'000;
constexpr uint64_t kRequestsMax = 5000;
constexpr uint64_t kBytesMax = uint64_t{1} << 30;

struct Named {
  const char* name;
  int32_t priority;
};

constexpr Named kStandard[] = {{"critical", 100}, {"default", 0}, {"sheddable", -10}};

Band standard_band(Location at) {
  Band band;
  band.at = band.ordering.at = band.fairness.at = band.eviction.at = at;
  band.limits.ttl_ns = kTtlNs;
  band.limits.no_endpoint_ttl_ns = kTtlNs;
  band.limits.requests_max = kRequestsMax;
  band.limits.bytes_max = kBytesMax;
  band.ordering.name = "fcfs";
  band.fairness.name = "round-robin";
  band.eviction.name = "lowest-band-first";
  return band;
}

void read_slot(TableReader& band, std::string_view slot, PolicyUse& out) {
  if (auto table = band.table(slot, "use")) {
    read_policy(*table, out);
    table->finish();
  }
}

Band read_band(TableReader& table) {
  Band out = standard_band(table.at());
  BandConfig& limits = out.limits;
  if (!table.read_string("name", limits.name)) {
    table.require("name", "objectives, models and metrics call the band by it");
  } else if (!is_plain_name(limits.name)) {
    table.error("name", fmt::format("{} cannot be the name of a band", quote(limits.name)),
                fmt::format("visible ASCII without spaces, 1 to {} bytes", kNameMax));
  }
  table.read_integer("priority", limits.priority, INT32_MIN, INT32_MAX);
  table.read_duration("ttl", limits.ttl_ns);
  table.read_duration("no_endpoint_ttl", limits.no_endpoint_ttl_ns);
  table.read_integer("max_requests", limits.requests_max, 0, INT64_MAX);
  table.read_bytes("max_bytes", limits.bytes_max);
  table.read_integer("max_requests_per_flow", limits.requests_per_flow_max, 0, INT64_MAX);
  table.read_number("ceiling", limits.ceiling, 0, 1);
  table.read_choice<bool>("when_blocked", limits.hold_when_blocked,
                          {{"bypass", false}, {"hold", true}});
  read_slot(table, "ordering", out.ordering);
  read_slot(table, "fairness", out.fairness);
  read_slot(table, "eviction", out.eviction);
  table.finish();
  return out;
}

// A band and the table it came from, until they are sorted.
struct Draft {
  Band band;
  TableReader* table;
};

// DRAFTS: highest priority first.
void check_order(const std::vector<Draft>& drafts) {
  for (size_t i = 1; i < drafts.size(); i++) {
    const Draft& upper = drafts[i - 1];
    const Draft& lower = drafts[i];
    if (upper.band.limits.priority == lower.band.limits.priority) {
      lower.table->error(
          "priority",
          fmt::format("bands {} and {} have the same priority, {}", quote(upper.band.limits.name),
                      quote(lower.band.limits.name), lower.band.limits.priority),
          "every band needs its own; it is 0 where none is given");
    } else if (upper.band.limits.ceiling < lower.band.limits.ceiling) {
      upper.table->error("ceiling",
                         fmt::format("band {} has a lower ceiling than band {} below it: {} < {}",
                                     quote(upper.band.limits.name), quote(lower.band.limits.name),
                                     upper.band.limits.ceiling, lower.band.limits.ceiling),
                         "ceilings never fall as the priority rises; a band without one has 1");
    }
  }
}

// A share of what has no end is no bound.
void check_ceilings(const std::vector<Draft>& drafts, const Pool& pool) {
  if (pool.learn_room || pool.max_in_flight != 0 || pool.max_in_flight_tokens != 0) return;
  const bool bounded = !pool.endpoints.empty() && pool.endpoints_file.empty() &&
                       std::ranges::all_of(pool.endpoints, [](const Endpoint& endpoint) {
                         return endpoint.max_in_flight.value_or(0) != 0;
                       });
  if (bounded) return;
  for (const Draft& draft : drafts)
    if (draft.band.limits.ceiling < 1)
      draft.table->warning(
          "ceiling",
          fmt::format("the ceiling of band {} holds nothing back: some endpoints have no limit",
                      quote(draft.band.limits.name)),
          "give [pool.capacity] mode = \"auto\", max_in_flight or max_in_flight_tokens");
}

void read_targets(TableReader& model, Model& out) {
  double sum = 0;
  Unique names("targets of a model are called");
  auto tables = model.tables("targets", kEntriesMax);
  for (TableReader& table : tables) {
    Target target;
    if (!table.read_string("model", target.model)) {
      table.require("model", "the name that the endpoints serve");
    } else if (!is_free_name(target.model)) {
      table.error("model", fmt::format("{} cannot be the name of a model", quote(target.model)));
    } else {
      names.add(table, "model", target.model, target.model);
    }
    table.read_number("weight", target.weight, 0, kShareMax);
    table.finish();
    sum += target.weight;
    out.targets.push_back(std::move(target));
  }
  if (!tables.empty() && sum == 0) {
    model.error("targets",
                fmt::format("the weights of the targets of {} add up to 0", quote(out.name)),
                "give at least one of them a weight above 0");
  }
}

}  // namespace

std::optional<uint32_t> find_band(TableReader& table, std::string_view key,
                                  const std::vector<Band>& bands, const std::string& name) {
  std::vector<std::string_view> names;
  for (const Band& band : bands) names.push_back(band.limits.name);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<uint32_t>(found - names.begin());
  table.error(key, fmt::format("there is no band {}", quote(name)),
              suggestion(name, names, "the bands are"));
  return std::nullopt;
}

void read_bands(TableReader& root, Config& config) {
  auto tables = root.tables("band", kBandsMax);
  std::vector<Draft> drafts;
  Unique names("bands are named");
  for (TableReader& table : tables) {
    drafts.push_back({read_band(table), &table});
    const std::string& name = drafts.back().band.limits.name;
    if (!name.empty()) names.add(table, "name", name, name);
  }
  std::stable_sort(drafts.begin(), drafts.end(), [](const Draft& a, const Draft& b) {
    return a.band.limits.priority > b.band.limits.priority;
  });
  check_order(drafts);
  check_ceilings(drafts, config.pool);
  for (Draft& draft : drafts) config.bands.push_back(std::move(draft.band));
  if (!config.bands.empty()) return;
  for (const Named& standard : kStandard) {
    Band band = standard_band(root.at());
    band.limits.name = standard.name;
    band.limits.priority = standard.priority;
    config.bands.push_back(std::move(band));
  }
}

void read_objectives(TableReader& root, Config& config) {
  Unique names("objectives are named");
  for (TableReader& table : root.tables("objective", kEntriesMax)) {
    Objective out;
    out.band = config.default_band;
    if (!table.read_string("name", out.name)) {
      table.require("name", "what the objective header of a request says");
    } else if (!is_plain_name(out.name)) {
      table.error("name", fmt::format("{} cannot be the name of an objective", quote(out.name)),
                  fmt::format("visible ASCII without spaces, 1 to {} bytes", kNameMax));
    } else {
      names.add(table, "name", out.name, out.name);
    }
    std::string band;
    if (table.read_string("band", band)) {
      out.band = find_band(table, "band", config.bands, band).value_or(out.band);
    }
    table.finish();
    config.objectives.push_back(std::move(out));
  }
}

void read_models(TableReader& root, Config& config) {
  Unique names("models are named");
  for (TableReader& table : root.tables("model", kEntriesMax)) {
    Model out;
    out.at = table.at();
    if (!table.read_string("name", out.name)) {
      table.require("name", "the model as requests name it");
    } else if (!is_free_name(out.name)) {
      table.error("name", fmt::format("{} cannot be the name of a model", quote(out.name)),
                  fmt::format("1 to {} bytes, without control characters", kNameMax));
    } else {
      names.add(table, "name", out.name, out.name);
    }
    std::string band;
    if (table.read_string("band", band)) out.band = find_band(table, "band", config.bands, band);
    table.read_number("weight", out.weight, kWeightMin, kWeightMax);
    read_targets(table, out);
    table.finish();
    config.models.push_back(std::move(out));
  }
}

}  // namespace sluice::config
