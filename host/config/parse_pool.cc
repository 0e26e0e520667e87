// [pool] and everything below it, and the files that hold endpoints alone.
#include <fmt/format.h>

#include "core/limits.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

void read_models_served(TableReader& table, Endpoint& out) {
  const auto models = table.read_strings("models");
  if (!models) return;
  for (const Text& model : *models) {
    const size_t star = model.text.find('*');
    if (!is_free_name(model.text) || (star != std::string::npos && star + 1 != model.text.size())) {
      table.source().diagnostics.error(
          model.at,
          fmt::format("{} wants names of models, found {}", table.path_of("models"),
                      quote(model.text)),
          "an exact name, or a beginning and one '*' at the end: \"llama-*\"");
      continue;
    }
    out.models.push_back(model.text);
  }
}

void read_labels(TableReader& table, Endpoint& out) {
  const auto labels = table.read_map("labels");
  if (!labels) return;
  for (const auto& [name, value] : *labels) {
    if (is_free_name(name.text) && is_free_name(value.text)) {
      out.labels.emplace(name.text, value.text);
      continue;
    }
    table.source().diagnostics.error(
        name.at, fmt::format("label {} = {} cannot be used", quote(name.text), quote(value.text)),
        fmt::format("1 to {} bytes each, without control characters", kNameMax));
  }
}

Endpoint read_endpoint(TableReader& table) {
  Endpoint out;
  out.at = table.at();
  if (!table.read_string("name", out.name)) {
    table.require("name", "answers and metrics call the endpoint by it");
  } else if (!is_plain_name(out.name)) {
    table.error("name", fmt::format("{} cannot be the name of an endpoint", quote(out.name)),
                fmt::format("visible ASCII without spaces, 1 to {} bytes", kNameMax));
  }
  if (!table.read_address("address", out.address)) {
    table.require("address", "such as address = \"127.0.0.1:8101\"");
  } else if (out.address.port == 0 || is_wildcard(out.address)) {
    table.error("address", fmt::format("nothing can be sent to {}", quote(out.address.text)),
                "an endpoint has the address and the port of one server");
  }
  read_models_served(table, out);
  read_labels(table, out);
  uint32_t room = 0;
  if (table.read_integer("max_in_flight", room, 0, kRoomMax)) out.max_in_flight = room;
  table.finish();
  return out;
}

void read_capacity(TableReader& pool, Pool& out) {
  auto capacity = pool.table("capacity");
  if (!capacity) return;
  capacity->read_choice<bool>("mode", out.learn_room, {{"auto", true}, {"fixed", false}});
  if (!capacity->read_integer("max_in_flight", out.max_in_flight, 0, kRoomMax) && !out.learn_room)
    out.max_in_flight = kFixedRoom;
  capacity->read_integer("max_in_flight_tokens", out.max_in_flight_tokens, 0, INT64_MAX);
  capacity->read_integer("max_prefill_tokens", out.max_prefill_tokens, 0, INT64_MAX);
  capacity->read_integer("gateways", out.gateways, 1, kGatewaysMax);
  capacity->finish();
}

void read_scrape(TableReader& pool, Pool& out) {
  auto scrape = pool.table("scrape");
  if (!scrape) return;
  scrape->read_choice<EngineKind>("engine", out.engine,
                                  {{"vllm", EngineKind::kVllm},
                                   {"sglang", EngineKind::kSglang},
                                   {"trtllm", EngineKind::kTrtllm}});
  if (scrape->read_string("path", out.scrape_path) &&
      (!is_plain_name(out.scrape_path) || out.scrape_path[0] != '/')) {
    scrape->error(
        "path",
        fmt::format("pool.scrape.path wants the path of a URL, found {}", quote(out.scrape_path)),
        "such as \"/metrics\"");
  }
  if (scrape->read_duration("interval", out.scrape_interval_ns) &&
      out.scrape_interval_ns < kScrapeIntervalMinNs) {
    scrape->error("interval", "pool.scrape.interval is at least \"1ms\"");
  }
  scrape->read_duration("stale_after", out.stale_after_ns);
  if (out.stale_after_ns != 0 && out.stale_after_ns < out.scrape_interval_ns) {
    const char* key = scrape->has("stale_after") ? "stale_after" : "interval";
    scrape->error(key, "pool.scrape.stale_after is shorter than pool.scrape.interval",
                  "metrics would be stale before the next scrape; twenty intervals are usual");
  }
  scrape->finish();
}

// A request to one of these would come back to Sluice itself.
void check_no_loop(std::vector<TableReader>& tables, const std::vector<Endpoint>& endpoints,
                   const Config& config) {
  for (size_t i = 0; i < endpoints.size(); i++) {
    const SocketAddress& address = endpoints[i].address;
    if (address.port == 0) continue;
    if ((config.http && reaches(config.http->address, address)) ||
        (config.ext_proc && reaches(config.ext_proc->address, address)) ||
        (config.admin && reaches(*config.admin, address))) {
      tables[i].error("address", fmt::format("{} is Sluice itself", quote(address.text)),
                      "an endpoint is a model server; listen elsewhere, or correct the address");
    }
  }
}

}  // namespace

std::vector<Endpoint> read_endpoints(std::vector<TableReader>& tables) {
  std::vector<Endpoint> out;
  Unique names("endpoints are named"), addresses("endpoints have the address");
  for (TableReader& table : tables) {
    Endpoint endpoint = read_endpoint(table);
    if (!endpoint.name.empty()) names.add(table, "name", endpoint.name, endpoint.name);
    if (endpoint.address.port != 0) {
      addresses.add(table, "address", canonical(endpoint.address), endpoint.address.text);
    }
    out.push_back(std::move(endpoint));
  }
  return out;
}

void read_pool(TableReader& root, Config& config) {
  Pool& out = config.pool;
  if (auto pool = root.table("pool")) {
    auto tables = pool->tables("endpoints", kEndpointsMax);
    out.endpoints = read_endpoints(tables);
    check_no_loop(tables, out.endpoints, config);
    pool->read_path("endpoints_file", out.endpoints_file);
    read_capacity(*pool, out);
    read_scrape(*pool, out);
    pool->finish();
  }
  if (out.endpoints.empty() && out.endpoints_file.empty()) {
    root.error("pool", "no endpoints: nobody could answer a request",
               "add [[pool.endpoints]] with name and address, or pool.endpoints_file");
  }
}

}  // namespace sluice::config
