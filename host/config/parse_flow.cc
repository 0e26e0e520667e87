// [flow], [[trust]] and [[tenant]]: which requests belong together, and whose word is taken for it.
#include <fmt/format.h>

#include <algorithm>

#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

constexpr std::string_view kHeaderPrefix = "header:";

std::optional<FlowComponent> parse_component(std::string_view text) {
  if (text == "model") return FlowComponent{FlowComponent::Kind::kModel, ""};
  if (text == "objective") return FlowComponent{FlowComponent::Kind::kObjective, ""};
  if (!text.starts_with(kHeaderPrefix)) return std::nullopt;
  const std::string_view header = text.substr(kHeaderPrefix.size());
  if (!is_header_name(header)) return std::nullopt;
  return FlowComponent{FlowComponent::Kind::kHeader, lower_case(header)};
}

std::string spelling(const FlowComponent& component) {
  switch (component.kind) {
    case FlowComponent::Kind::kModel:
      return "model";
    case FlowComponent::Kind::kObjective:
      return "objective";
    default:
      return std::string(kHeaderPrefix) + component.header;
  }
}

std::string component_hint(std::string_view text) {
  if (is_header_name(text) && text.starts_with("x-")) {
    return fmt::format("did you mean \"{}{}\"?", kHeaderPrefix, text);
  }
  constexpr std::string_view kWords[] = {"model", "objective"};
  const std::string near = nearest(text, kWords);
  return near.empty() ? R"(a component is "model", "objective" or "header:NAME")"
                      : "did you mean " + quote(near) + "?";
}

// A component and where it stands.
struct Placed {
  FlowComponent component;
  Location at;
};

std::vector<Placed> read_key(TableReader& flow) {
  Diagnostics& diagnostics = flow.source().diagnostics;
  const auto texts = flow.read_strings("key");
  if (!texts) return {{FlowComponent{}, flow.at()}};
  std::vector<Placed> out;
  for (const Text& text : *texts) {
    if (out.size() == kFlowComponentsMax) {
      diagnostics.error(text.at,
                        fmt::format("flow.key has more than {} components", kFlowComponentsMax));
      break;
    }
    const auto component = parse_component(text.text);
    if (!component) {
      diagnostics.error(text.at, fmt::format("{} is no component of a flow key", quote(text.text)),
                        component_hint(text.text));
      continue;
    }
    const bool again = std::any_of(out.begin(), out.end(), [&](const Placed& other) {
      return spelling(other.component) == spelling(*component);
    });
    if (again) {
      diagnostics.error(text.at, fmt::format("{} stands twice in flow.key", quote(text.text)));
      continue;
    }
    out.push_back({*component, text.at});
  }
  return out;
}

void read_default_band(TableReader& root, TableReader* flow, Config& config) {
  std::string name = "default";
  if (flow != nullptr && flow->read_string("default_band", name)) {
    config.default_band = find_band(*flow, "default_band", config.bands, name).value_or(0);
    return;
  }
  const auto found = std::find_if(config.bands.begin(), config.bands.end(),
                                  [&](const Band& band) { return band.limits.name == name; });
  if (found != config.bands.end()) {
    config.default_band = static_cast<uint32_t>(found - config.bands.begin());
    return;
  }
  if (flow != nullptr && flow->has("default_band")) return;  // wrong, and reported
  root.error(root.has("flow") ? "flow" : "band",
             "flow.default_band is missing, and no band is named \"default\"",
             fmt::format("requests that name no objective go there; say which: default_band = {}",
                         quote(config.bands.back().limits.name)));
}

void read_from(TableReader& table, const Config& config, Trust& out) {
  const auto from = table.read_strings("from");
  if (!from) return;
  Diagnostics& diagnostics = table.source().diagnostics;
  out.from.clear();
  for (const Text& text : *from) {
    if (text.text.starts_with("mtls:") && is_free_name(text.text)) {
      const bool asked =
          config.ext_proc && config.ext_proc->tls && !config.ext_proc->tls->client_ca.empty();
      if (!asked)
        diagnostics.warning(
            text.at,
            fmt::format("{} trusts nobody: no client shows a certificate", quote(text.text)),
            "listen.ext_proc asks for one if its tls has client_ca");
      if (text.text.find('*') != text.text.npos)
        diagnostics.warning(text.at,
                            fmt::format("{} is compared letter by letter", quote(text.text)),
                            "'*' stands for itself; write each name out");
    } else if (text.text != "any") {
      if (const auto network = check_network(text.text); !network) {
        diagnostics.error(
            text.at, fmt::format("{} is no network, \"any\" or \"mtls:SAN\"", quote(text.text)),
            network.error());
        continue;
      }
    }
    out.from.push_back(text.text);
  }
}

void read_headers(TableReader& table, Trust& out) {
  const auto headers = table.read_strings("headers");
  if (!headers) return;
  out.headers.clear();
  for (const Text& text : *headers) {
    if (is_header_name(text.text)) {
      out.headers.push_back(lower_case(text.text));
      continue;
    }
    table.source().diagnostics.error(
        text.at, fmt::format("{} cannot be the name of a header", quote(text.text)),
        fmt::format("letters, digits and '-', 1 to {} bytes", kHeaderNameMax));
  }
}

Trust standard_trust() {
  return {{"127.0.0.0/8", "::1"}, {"x-llm-d-inference-fairness-id", "x-llm-d-inference-objective"}};
}

void read_trust(TableReader& root, Config& config) {
  if (!root.has("trust")) config.trust.push_back(standard_trust());
  for (TableReader& table : root.tables("trust", kEntriesMax)) {
    Trust out = standard_trust();
    read_from(table, config, out);
    read_headers(table, out);
    table.finish();
    config.trust.push_back(std::move(out));
  }
}

// An x-gateway-* name is an alias of the x-llm-d-* one, and follows it.
std::string without_alias(const std::string& header) {
  constexpr std::string_view kAlias = "x-gateway-";
  return header.starts_with(kAlias) ? "x-llm-d-" + header.substr(kAlias.size()) : header;
}

void check_trusted(const std::vector<Placed>& key, const Config& config, Diagnostics& diagnostics) {
  for (const Placed& placed : key) {
    const std::string& header = placed.component.header;
    const auto trusted = [&](const Trust& trust) {
      return std::any_of(trust.headers.begin(), trust.headers.end(), [&](const std::string& other) {
        return other == header || other == without_alias(header);
      });
    };
    if (header.empty() || std::any_of(config.trust.begin(), config.trust.end(), trusted)) continue;
    diagnostics.error(
        placed.at, fmt::format("nobody is trusted to send {}, which is in flow.key", quote(header)),
        fmt::format("add a [[trust]] with from = [...] and headers = [{}]", quote(header)));
  }
}

void read_match(TableReader& table, const Config& config, Tenant& out) {
  const auto match = table.read_map("match");
  if (!match) {
    table.require("match",
                  R"(such as match = { "header:x-llm-d-inference-fairness-id" = "gold" })");
    return;
  }
  if (match->size() != 1) {
    table.error("match", fmt::format("tenant.match names {} components, not one", match->size()),
                "one component of flow.key and its value; a [[tenant]] for each");
    return;
  }
  const auto& [name, value] = match->front();
  Diagnostics& diagnostics = table.source().diagnostics;
  const auto component = parse_component(name.text);
  if (!component) {
    diagnostics.error(name.at, fmt::format("{} is no component of a flow key", quote(name.text)),
                      component_hint(name.text));
    return;
  }
  out.component = spelling(*component);
  out.value = value.text;
  std::vector<std::string> spellings;
  for (const FlowComponent& other : config.flow_key) spellings.push_back(spelling(other));
  if (std::find(spellings.begin(), spellings.end(), out.component) == spellings.end()) {
    const std::vector<std::string_view> names(spellings.begin(), spellings.end());
    diagnostics.error(name.at, fmt::format("{} is not in flow.key", quote(out.component)),
                      names.empty() ? "flow.key is empty" : "flow.key is " + listed(names));
  }
  if (!is_free_name(out.value)) {
    diagnostics.error(value.at,
                      fmt::format("{} cannot be what a tenant is called", quote(out.value)),
                      fmt::format("1 to {} bytes, without control characters", kNameMax));
  }
}

}  // namespace

void read_flow(TableReader& root, Config& config) {
  std::vector<Placed> key = {{FlowComponent{}, {}}};
  auto flow = root.table("flow");
  if (flow) {
    key = read_key(*flow);
    flow->read_integer("max_flows", config.max_flows, 0, kFlowsMax);
    if (config.max_flows == 0) config.max_flows = kFlowsMax;
    flow->read_duration("idle_ttl", config.flow_idle_ttl_ns);
  }
  read_default_band(root, flow ? &*flow : nullptr, config);
  if (flow) flow->finish();
  read_trust(root, config);
  check_trusted(key, config, root.source().diagnostics);
  for (const Placed& placed : key) config.flow_key.push_back(placed.component);
}

void read_tenants(TableReader& root, Config& config) {
  Unique names("tenants match");
  for (TableReader& table : root.tables("tenant", kEntriesMax)) {
    Tenant out;
    out.at = table.at();
    read_match(table, config, out);
    if (!out.component.empty()) {
      names.add(table, "match", out.component + '\0' + out.value, out.value);
    }
    table.read_number("weight", out.weight, kWeightMin, kWeightMax);
    table.read_integer("max_requests", out.max_requests, 0, INT64_MAX);
    table.finish();
    config.tenants.push_back(std::move(out));
  }
}

}  // namespace sluice::config
