#include "host/request/routing.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "host/request/prefix.h"

namespace sluice {
namespace {

constexpr std::string_view kObjective = "x-llm-d-inference-objective";
constexpr std::string_view kTtl = "x-llm-d-inference-ttl";
constexpr std::string_view kSloPrefix = "x-llm-d-slo-";
constexpr std::string_view kDestinationPrefix = "x-gateway-destination-endpoint";

struct Alias {
  std::string_view alias, name;
};
constexpr Alias kAliases[] = {
    {"x-gateway-inference-objective", kObjective},
    {"x-gateway-inference-fairness-id", "x-llm-d-inference-fairness-id"},
    {"x-slo-ttft-ms", "x-llm-d-slo-ttft-ms"},
    {"x-slo-tpot-ms", "x-llm-d-slo-tpot-ms"},
};
// Said to a gateway about routing, never by a client: no one is believed.
constexpr std::string_view kNeverForwarded[] = {"x-llm-d-model-name-rewrite",
                                                "x-gateway-model-name-rewrite"};

// What an alias stands for; any other name itself.
std::string_view resolved(std::string_view name) {
  for (const Alias& alias : kAliases) {
    if (equals_ignoring_case(name, alias.alias)) return alias.name;
  }
  return name;
}

// NAME in lower case, an alias by what it stands for.
std::string canonical(std::string_view name) { return ascii_lower(resolved(name)); }

template <typename Names>
bool among(std::string_view name, const Names& names) {
  return std::any_of(std::begin(names), std::end(names),
                     [&](std::string_view one) { return equals_ignoring_case(name, one); });
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

uint64_t hash(std::string_view text, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

// Appends VALUE so that joining by '|' stays unambiguous: nobody becomes another's flow by choosing
// a name with '|' in it.
void append_part(std::string& flow, std::string_view value) {
  constexpr char kHex[] = "0123456789abcdef";
  const bool cut = value.size() > kFlowPartMax;
  for (const char c : value.substr(0, cut ? kFlowPartMax - 17 : value.size())) {
    if (c == '|') {
      flow += "%7C";
    } else if (c == '%') {
      flow += "%25";
    } else {
      flow += c;
    }
  }
  if (!cut) return;
  flow += '~';
  const uint64_t rest = hash(value);
  for (int shift = 60; shift >= 0; shift -= 4) flow += kHex[(rest >> shift) & 0xF];
}

// 53 random bits of HASH as a number in [0, 1).
double unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

uint32_t milli(double weight) {
  return static_cast<uint32_t>(std::clamp(std::round(weight * 1000.0), 1.0, 1'000'000.0));
}

uint32_t clamp_u32(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX - 1));
}

std::string component_name(const config::FlowComponent& component) {
  switch (component.kind) {
    case config::FlowComponent::Kind::kModel:
      return "model";
    case config::FlowComponent::Kind::kObjective:
      return "objective";
    case config::FlowComponent::Kind::kHeader:
      break;
  }
  return "header:" + component.header;
}

}  // namespace

Submission Routed::submission(ClassId eligible) const {
  Submission s;
  s.flow = flow;
  s.flow_hash = hash(flow);
  s.model_hash = hash(target);
  s.generation = generation;
  s.band = band;
  s.eligible = eligible;
  s.tenant = tenant;
  s.weight_milli = weight_milli;
  s.bytes = bytes;
  s.prompt_bytes = prompt_bytes;
  s.choices = choices;
  s.output_max = output_max;
  s.wall_deadline_ns = wall_deadline_ns;
  s.prefix = prefix;
  s.ints = ints;
  s.floats = floats;
  return s;
}

Result<std::shared_ptr<const Routing>> Routing::create(const config::Config& config,
                                                       RoutingOptions options) {
  std::shared_ptr<Routing> routing(new Routing);
  routing->options_ = std::move(options);
  for (DeclaredColumn& column : routing->options_.columns) column.header = canonical(column.header);
  // Whoever is untrusted may not send on what Sluice itself, or a gateway behind it, would act on.
  routing->controlled_ = {std::string(kObjective), "x-llm-d-inference-fairness-id"};
  for (const config::Trust& entry : config.trust) {
    Trust trust;
    for (const std::string& from : entry.from) {
      if (from == "any") {
        trust.any = true;
      } else if (from.starts_with("mtls:")) {
        trust.names.push_back(from.substr(5));
      } else if (const std::optional<Cidr> cidr = Cidr::parse(from)) {
        trust.from.push_back(*cidr);
      } else {
        return Error{"[[trust]] from: '" + from +
                     "' is not a network; write one as \"10.0.0.0/8\", or \"any\""};
      }
    }
    for (const std::string& header : entry.headers) {
      trust.headers.push_back(canonical(header));
      routing->controlled_.push_back(canonical(header));
    }
    routing->trust_.push_back(std::move(trust));
  }
  routing->flow_key_ = config.flow_key;
  for (config::FlowComponent& component : routing->flow_key_)
    component.header = canonical(component.header);
  routing->tenants_ = config.tenants;
  for (const config::Tenant& tenant : config.tenants) {
    const bool is_header = tenant.component.starts_with("header:");
    const std::string name =
        is_header ? "header:" + canonical(tenant.component.substr(7)) : tenant.component;
    size_t index = 0;
    while (index < routing->flow_key_.size() && component_name(routing->flow_key_[index]) != name)
      ++index;
    routing->tenant_component_.push_back(index < routing->flow_key_.size() ? index : SIZE_MAX);
  }
  const auto add_name = [&names = routing->model_names_](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const config::Model& model : config.models) {
    routing->models_.emplace(model.name, model);
    add_name(model.name);
  }
  for (const config::Model& model : config.models) {
    for (const config::Target& target : model.targets) add_name(target.model);
  }
  for (const config::Objective& objective : config.objectives) {
    routing->objectives_.emplace(objective.name, objective.band);
  }
  for (const config::Band& band : config.bands) routing->band_names_.push_back(band.limits.name);
  routing->default_band_ = config.default_band;
  return std::shared_ptr<const Routing>(std::move(routing));
}

bool Routing::Trust::covers(const Peer& peer) const {
  return any ||
         std::any_of(from.begin(), from.end(),
                     [&](const Cidr& cidr) { return cidr.contains(peer.address); }) ||
         std::any_of(peer.names.begin(), peer.names.end(),
                     [&](const std::string& name) { return std::ranges::count(names, name) != 0; });
}

bool Routing::believes(std::string_view header_name, const Peer& peer) const {
  const std::string_view name = resolved(header_name);
  if (equals_ignoring_case(name, kTtl) || starts_with_ignoring_case(name, kSloPrefix)) return true;
  return std::any_of(trust_.begin(), trust_.end(), [&](const Trust& trust) {
    return among(name, trust.headers) && trust.covers(peer);
  });
}

bool Routing::forwards(std::string_view header_name, const Peer& peer) const {
  // Some servers take '_' for '-'.
  if (header_name.find('_') != header_name.npos) {
    std::string dashed(header_name);
    std::ranges::replace(dashed, '_', '-');
    return forwards(dashed, peer);
  }
  const std::string_view name = resolved(header_name);
  if (starts_with_ignoring_case(name, kDestinationPrefix)) return false;
  if (among(name, kNeverForwarded)) return false;
  return !among(name, controlled_) || believes(name, peer);
}

std::optional<std::string_view> Routing::believed(std::string_view name, Headers headers,
                                                  const Peer& peer) const {
  std::optional<std::string_view> value = find_header(headers, name);
  for (const Alias& alias : kAliases) {
    if (!value && alias.name == name) value = find_header(headers, alias.alias);
  }
  if (!value || value->empty() || !believes(name, peer)) return std::nullopt;
  return value;
}

std::string Routing::pick_target(const config::Model* model, const RequestFacts& facts,
                                 std::string_view request_id) const {
  if (model == nullptr || model->targets.empty()) return facts.model;
  double total = 0;
  for (const config::Target& target : model->targets) total += target.weight;
  double point = unit(hash(request_id, options_.seed)) * total;
  for (const config::Target& target : model->targets) {
    point -= target.weight;
    if (point < 0) return target.model;
  }
  return model->targets.back().model;
}

void Routing::fill_flow(Routed& routed, const RequestFacts& facts, Headers headers,
                        const Peer& peer, std::string_view objective) const {
  std::vector<std::string_view> parts;
  for (const config::FlowComponent& component : flow_key_) {
    switch (component.kind) {
      case config::FlowComponent::Kind::kModel:
        parts.push_back(facts.model);
        break;
      case config::FlowComponent::Kind::kObjective:
        parts.push_back(objective.empty() ? kDefaultFlowPart : objective);
        break;
      case config::FlowComponent::Kind::kHeader:
        parts.push_back(believed(component.header, headers, peer).value_or(kDefaultFlowPart));
        break;
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) routed.flow += '|';
    append_part(routed.flow, parts[i]);
  }
  for (size_t i = 0; i < tenants_.size(); ++i) {
    const size_t component = tenant_component_[i];
    if (component == SIZE_MAX || parts[component] != tenants_[i].value) continue;
    routed.tenant = static_cast<uint32_t>(i);
    break;
  }
}

void Routing::fill_columns(Routed& routed, Headers headers, const Peer& peer) const {
  for (const DeclaredColumn& column : options_.columns) {
    const std::optional<std::string_view> value = believed(column.header, headers, peer);
    if (column.is_float) {
      double number =
          value ? parse_number<double>(*value).value_or(column.absent_float) : column.absent_float;
      routed.floats.push_back(std::isfinite(number) ? number : column.absent_float);
    } else if (column.source == DeclaredColumn::Source::kHeaderHash) {
      routed.ints.push_back(value ? static_cast<int64_t>(hash(*value)) : column.absent_int);
    } else {
      routed.ints.push_back(value ? parse_number<int64_t>(*value).value_or(column.absent_int)
                                  : column.absent_int);
    }
  }
}

Routed Routing::route(const RequestFacts& facts, std::string_view body, Headers headers,
                      const Peer& peer, std::string_view request_id, TimeNs now) const {
  Routed routed;
  routed.generation = options_.generation;
  const auto found = models_.find(facts.model);
  const config::Model* const model = found == models_.end() ? nullptr : &found->second;
  routed.target = pick_target(model, facts, request_id);

  // An objective that nobody configured is as good as none.
  std::string_view objective = believed(kObjective, headers, peer).value_or("");
  const auto known = objectives_.find(std::string(objective));
  if (known == objectives_.end()) objective = {};
  routed.band = model != nullptr && model->band ? *model->band : default_band_;
  if (known != objectives_.end()) routed.band = known->second;

  fill_flow(routed, facts, headers, peer, objective);
  double weight = model == nullptr ? 1.0 : model->weight;
  if (routed.tenant != kNone) weight *= tenants_[routed.tenant].weight;
  routed.weight_milli = milli(weight);

  const uint32_t choices = std::min(facts.choices, kChoicesMax);
  routed.bytes = body.size();
  routed.prompt_bytes = std::min(clamp_u32(facts.prompt.length), kNone - 1);
  routed.output_max = facts.output_max;
  routed.choices = facts.api != Api::kEmbeddings ? choices : 0;
  // 0 stands for "no limit" everywhere, and a wait is never lengthened by a header: what cannot be
  // read counts as absent.
  if (const auto ttl = find_header(headers, kTtl)) {
    const uint64_t ms = parse_number<uint64_t>(*ttl).value_or(0);
    if (ms != 0 && ms <= (kNever - now) / 1'000'000 - 1)
      routed.wall_deadline_ns = now + ms * 1'000'000;
  }
  if (options_.prefixes) {
    routed.prefix =
        prefix_of(body.substr(facts.prompt.offset, facts.prompt.length),
                  size_t{options_.prefix_block_tokens} * kPrefixBytesPerToken, hash(routed.target));
  }
  fill_columns(routed, headers, peer);
  return routed;
}

}  // namespace sluice
