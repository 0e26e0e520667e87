#include "host/plugins/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/config/text.h"

namespace sluice::plugins {
namespace {

using nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool is_text(uint32_t type) { return type == SLUICE_STRING || type == SLUICE_CHOICE; }

// The largest unit that divides VALUE.
template <size_t N>
std::string with_unit(int64_t value, const std::array<std::pair<const char*, int64_t>, N>& units) {
  for (const auto& [name, size] : units)
    if (value % size == 0 && value != 0) return fmt::format("{}{}", value / size, name);
  return fmt::format("0{}", units.back().first);
}

std::string render_duration(int64_t ns) {
  if (ns == 0) return "0s";
  constexpr std::array<std::pair<const char*, int64_t>, 6> kUnits{{{"h", 3'600'000'000'000},
                                                                   {"m", 60'000'000'000},
                                                                   {"s", 1'000'000'000},
                                                                   {"ms", 1'000'000},
                                                                   {"us", 1'000},
                                                                   {"ns", 1}}};
  return with_unit(ns, kUnits);
}

std::string render_bytes(int64_t bytes) {
  constexpr std::array<std::pair<const char*, int64_t>, 5> kUnits{
      {{"TiB", int64_t{1} << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}};
  return with_unit(bytes, kUnits);
}

std::string first_line(const PluginInfo& plugin) {
  return fmt::format("{} {} ({})", plugin.package, plugin.version,
                     plugin.license.empty() ? "no licence stated" : plugin.license);
}

std::string render_refusal(const PluginInfo& plugin) {
  std::string text =
      config::printable(fmt::format("{} {}", plugin.path.string(), plugin.refusal->why)) + '\n';
  if (!plugin.refusal->fix.empty())
    text += config::printable(fmt::format("    fix: {}", plugin.refusal->fix)) + '\n';
  return text;
}

// Rows of cells as columns, each as wide as its widest cell, the last one free.
std::string render_table(const std::vector<std::vector<std::string>>& rows,
                         std::string_view indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

// ---- JSON ----

// JSON has no infinities: null stands for "no bound".
json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json to_json(uint32_t type, const Value& value) {
  if (is_text(type)) return value.s;
  if (type == SLUICE_FLOAT) return number(value.f);
  if (type == SLUICE_BOOL) return value.i != 0;
  return value.i;
}

Value value_from(uint32_t type, const json& from, double unbounded) {
  Value value;
  if (is_text(type))
    value.s = from.get<std::string>();
  else if (type == SLUICE_FLOAT)
    value.f = from.is_null() ? unbounded : from.get<double>();
  else if (type == SLUICE_BOOL)
    value.i = from.get<bool>() ? 1 : 0;
  else
    value.i = from.get<int64_t>();
  return value;
}

json to_json(const ParamInfo& param) {
  json out{{"name", param.name},
           {"type", type_name(param.type)},
           {"summary", param.summary},
           {"unit", param.unit},
           {"default", to_json(param.type, param.standard)}};
  if (param.type == SLUICE_CHOICE) out["choices"] = param.choices;
  if (!is_text(param.type) && param.type != SLUICE_BOOL) {
    out["min"] = to_json(param.type, param.min);
    out["max"] = to_json(param.type, param.max);
  }
  return out;
}

uint32_t type_from(const std::string& name) {
  for (uint32_t type = SLUICE_BOOL; type <= SLUICE_CHOICE; ++type)
    if (name == type_name(type)) return type;
  return 0;
}

ParamInfo param_from(const json& from) {
  ParamInfo param;
  from.at("name").get_to(param.name);
  from.at("summary").get_to(param.summary);
  from.at("unit").get_to(param.unit);
  param.type = type_from(from.at("type").get<std::string>());
  param.standard = value_from(param.type, from.at("default"), 0);
  if (from.contains("choices")) from.at("choices").get_to(param.choices);
  if (from.contains("min")) param.min = value_from(param.type, from.at("min"), -kInfinity);
  if (from.contains("max")) param.max = value_from(param.type, from.at("max"), kInfinity);
  return param;
}

json to_json(const PluginInfo& plugin) {
  json out{{"path", plugin.path.string()}, {"sha256", plugin.sha256}, {"size", plugin.size}};
  if (plugin.refusal) {
    out["refused"] = {{"why", plugin.refusal->why}, {"fix", plugin.refusal->fix}};
    return out;
  }
  out["package"] = plugin.package;
  out["version"] = plugin.version;
  out["license"] = plugin.license;
  out["abi"] = fmt::format("{}.{}", SLUICE_ABI_MAJOR, plugin.minor_built);
  out["abi_minor_built"] = plugin.minor_built;
  out["abi_minor_needed"] = plugin.minor_needed;
  out["notes"] = plugin.notes;
  out["policies"] = json::array();
  for (const PolicyInfo& policy : plugin.policies) {
    json params = json::array();
    for (const ParamInfo& param : policy.params) params.push_back(to_json(param));
    out["policies"].push_back({{"name", policy.name},
                               {"kind", kind_name(policy.kind)},
                               {"summary", policy.summary},
                               {"interfaces", policy.interfaces},
                               {"flags", policy.flags},
                               {"inputs", policy.inputs},
                               {"events", policy.events},
                               {"params", std::move(params)}});
  }
  return out;
}

// Throws whatever nlohmann throws when FROM has another shape.
void from_json(const json& from, PluginInfo& info) {
  info.path = from.at("path").get<std::string>();
  from.at("sha256").get_to(info.sha256);
  from.at("size").get_to(info.size);
  if (from.contains("refused")) {
    info.refusal = Refusal{from["refused"].at("why").get<std::string>(),
                           from["refused"].at("fix").get<std::string>()};
    return;
  }
  from.at("package").get_to(info.package);
  from.at("version").get_to(info.version);
  from.at("license").get_to(info.license);
  from.at("abi_minor_built").get_to(info.minor_built);
  from.at("abi_minor_needed").get_to(info.minor_needed);
  from.at("notes").get_to(info.notes);
  for (const json& entry : from.at("policies")) {
    PolicyInfo policy;
    entry.at("name").get_to(policy.name);
    entry.at("summary").get_to(policy.summary);
    entry.at("interfaces").get_to(policy.interfaces);
    policy.kind = kind_of(policy.interfaces.at(0)).value();
    entry.at("flags").get_to(policy.flags);
    entry.at("inputs").get_to(policy.inputs);
    entry.at("events").get_to(policy.events);
    for (const json& param : entry.at("params")) policy.params.push_back(param_from(param));
    info.policies.push_back(std::move(policy));
  }
}

std::string dump(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace

const char* type_name(uint32_t type) {
  switch (type) {
    case SLUICE_BOOL:
      return "bool";
    case SLUICE_INT:
      return "int";
    case SLUICE_FLOAT:
      return "float";
    case SLUICE_DURATION:
      return "duration";
    case SLUICE_BYTES:
      return "bytes";
    case SLUICE_STRING:
      return "string";
    case SLUICE_CHOICE:
      return "choice";
    default:
      return "unknown";
  }
}

std::string render_value(const ParamInfo& param, const Value& value) {
  switch (param.type) {
    case SLUICE_BOOL:
      return value.i != 0 ? "true" : "false";
    case SLUICE_FLOAT:
      return fmt::format("{}", value.f);
    case SLUICE_DURATION:
      return render_duration(value.i);
    case SLUICE_BYTES:
      return render_bytes(value.i);
    case SLUICE_STRING:
    case SLUICE_CHOICE:
      return fmt::format("\"{}\"", value.s);
    default:
      return fmt::format("{}", value.i);
  }
}

std::string render_bounds(const ParamInfo& param) {
  if (param.type == SLUICE_CHOICE) return fmt::format("{}", fmt::join(param.choices, ", "));
  if (is_text(param.type) || param.type == SLUICE_BOOL) return "";
  const bool open_below =
      param.type == SLUICE_FLOAT ? std::isinf(param.min.f) : param.min.i == INT64_MIN;
  const bool open_above =
      param.type == SLUICE_FLOAT ? std::isinf(param.max.f) : param.max.i == INT64_MAX;
  if (open_below && open_above) return "";
  if (open_below) return fmt::format("at most {}", render_value(param, param.max));
  if (open_above) return fmt::format("at least {}", render_value(param, param.min));
  return fmt::format("{} .. {}", render_value(param, param.min), render_value(param, param.max));
}

std::string render_list(std::span<const PluginInfo> plugins) {
  std::vector<std::vector<std::string>> rows{{"KIND", "POLICY", "VERSION", "FILE"}};
  std::string refused, notes;
  for (const PluginInfo& plugin : plugins) {
    if (plugin.refusal) refused += "refused: " + render_refusal(plugin);
    for (const PolicyInfo& policy : plugin.policies)
      rows.push_back({kind_name(policy.kind), plugin.package + "/" + policy.name, plugin.version,
                      plugin.path.string()});
    for (const std::string& note : plugin.notes)
      notes += config::printable(fmt::format("note: {} {}", plugin.path.string(), note)) + '\n';
  }
  std::string text = rows.size() > 1 ? render_table(rows, "") : "no policy was found\n";
  return text + notes + refused;
}

std::string render_plugin(const PluginInfo& plugin) {
  if (plugin.refusal) return "refused: " + render_refusal(plugin);
  std::string text = first_line(plugin) + '\n';
  text +=
      fmt::format("  file    {} ({} bytes)\n  sha256  {}\n  abi     {}.{}\n", plugin.path.string(),
                  plugin.size, plugin.sha256, SLUICE_ABI_MAJOR, plugin.minor_built);
  for (const std::string& note : plugin.notes) text += fmt::format("  note    {}\n", note);
  for (const PolicyInfo& policy : plugin.policies) {
    text += fmt::format("\n{} {}/{}\n  {}\n", kind_name(policy.kind), plugin.package, policy.name,
                        policy.summary);
    std::vector<std::vector<std::string>> rows;
    for (const ParamInfo& param : policy.params) {
      std::string bounds = render_bounds(param);
      if (!param.unit.empty()) bounds += (bounds.empty() ? "" : " ") + param.unit;
      rows.push_back({param.name, type_name(param.type), render_value(param, param.standard),
                      bounds, param.summary});
    }
    if (rows.empty()) {
      text += "  no parameters\n";
      continue;
    }
    rows.insert(rows.begin(), {"PARAMETER", "TYPE", "DEFAULT", "BOUNDS", "MEANING"});
    text += render_table(rows, "  ");
  }
  return text;
}

std::string render_json(std::span<const PluginInfo> plugins) {
  json out = json::array();
  for (const PluginInfo& plugin : plugins) out.push_back(to_json(plugin));
  return dump(out, 2) + '\n';
}

std::string render_json(const PluginInfo& plugin) { return dump(to_json(plugin), 2) + '\n'; }

bool parse_json(std::string_view text, PluginInfo& info) {
  try {
    from_json(json::parse(text), info);
    return true;
  } catch (const std::exception&) {
    return false;  // json's own exceptions, and optional's for an unknown kind
  }
}

}  // namespace sluice::plugins
