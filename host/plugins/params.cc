#include "host/plugins/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "host/config/text.h"
#include "host/config/values.h"
#include "host/plugins/render.h"

namespace sluice::plugins {
namespace {

using Given = std::variant<bool, int64_t, double, std::string>;

// As people would write it.
std::string show(const Given& given) {
  if (const auto* text = std::get_if<std::string>(&given)) return config::quote(*text);
  return std::visit(
      [](const auto& value) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
          return value;
        else
          return fmt::format("{}", value);
      },
      given);
}

const char* example(uint32_t type) {
  switch (type) {
    case SLUICE_BOOL:
      return "write true or false";
    case SLUICE_INT:
      return "write a whole number";
    case SLUICE_FLOAT:
      return "write a number";
    case SLUICE_DURATION:
      return "write a duration, such as \"250ms\"";
    case SLUICE_BYTES:
      return "write a size, such as \"64KiB\"";
    default:
      return "write a text in quotes";
  }
}

// Text and numbers to the parameter's type; an Error holds a hint.
class Reader {
 public:
  explicit Reader(const ParamInfo& param) : param_(param) {}

  Result<Value> operator()(const Given& given) const {
    const auto* text = std::get_if<std::string>(&given);
    const auto* integer = std::get_if<int64_t>(&given);
    switch (param_.type) {
      case SLUICE_BOOL: {
        if (const auto* flag = std::get_if<bool>(&given)) return whole(*flag ? 1 : 0);
        const auto flag = text != nullptr ? config::parse_boolean(*text) : std::nullopt;
        if (flag) return whole(*flag ? 1 : 0);
        break;
      }
      case SLUICE_INT: {
        if (integer != nullptr) return whole(*integer);
        const auto value = text != nullptr ? config::parse_integer(*text) : std::nullopt;
        if (value) return whole(*value);
        break;
      }
      case SLUICE_FLOAT: {
        if (integer != nullptr) return real(static_cast<double>(*integer));
        if (const auto* value = std::get_if<double>(&given);
            value != nullptr && std::isfinite(*value))
          return real(*value);
        const auto value = text != nullptr ? config::parse_number(*text) : std::nullopt;
        if (value) return real(*value);
        break;
      }
      case SLUICE_DURATION:
        if (text != nullptr) return unit(config::parse_duration(*text));
        if (integer != nullptr && *integer == 0) return whole(0);
        break;
      case SLUICE_BYTES:
        if (text != nullptr) return unit(config::parse_bytes(*text));
        if (integer != nullptr) return whole(*integer);
        break;
      case SLUICE_CHOICE:
      case SLUICE_STRING:
        if (text != nullptr && text->find('\0') == std::string::npos) return Value{0, 0, *text};
        break;
      default:
        break;
    }
    return Error{example(param_.type)};
  }

 private:
  static Value whole(int64_t i) { return {i, static_cast<double>(i), ""}; }
  static Value real(double f) {
    constexpr double kMost = 9.2e18;  // safely inside int64_t
    return {static_cast<int64_t>(std::clamp(f, -kMost, kMost)), f, ""};
  }
  static Result<Value> unit(Result<uint64_t> value) {
    if (!value) return Error{value.error()};
    return whole(static_cast<int64_t>(*value));
  }

  const ParamInfo& param_;
};

bool in_bounds(const ParamInfo& param, const Value& value) {
  switch (param.type) {
    case SLUICE_INT:
    case SLUICE_DURATION:
    case SLUICE_BYTES:
      return param.min.i <= value.i && value.i <= param.max.i;
    case SLUICE_FLOAT:
      return param.min.f <= value.f && value.f <= param.max.f;
    case SLUICE_CHOICE:
      return std::find(param.choices.begin(), param.choices.end(), value.s) != param.choices.end();
    default:
      return true;
  }
}

std::string nearest_hint(const std::string& name, std::span<const std::string> known) {
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const std::string near = config::nearest(name, candidates);
  return near.empty() ? "" : fmt::format("did you mean \"{}\"? ", near);
}

// The default with both numeric members set, as for values that were given.
Value standard_of(const ParamInfo& param) {
  Value value = param.standard;
  if (param.type == SLUICE_FLOAT)
    value.i = static_cast<int64_t>(std::clamp(value.f, -9.2e18, 9.2e18));
  else if (param.type != SLUICE_STRING && param.type != SLUICE_CHOICE)
    value.f = static_cast<double>(value.i);
  else
    value = {0, 0, value.s};
  return value;
}

}  // namespace

std::vector<Value> bind_params(std::span<const ParamInfo> table,
                               std::span<const config::ParamValue> given, const std::string& policy,
                               config::Diagnostics& diagnostics) {
  std::vector<Value> values;
  std::vector<std::string> names;
  for (const ParamInfo& param : table) {
    values.push_back(standard_of(param));
    names.push_back(param.name);
  }
  for (const config::ParamValue& entry : given) {
    const auto found = std::find(names.begin(), names.end(), entry.name);
    if (found == names.end()) {
      const std::string known = names.empty() ? "it has no parameters"
                                              : fmt::format("it has: {}", fmt::join(names, ", "));
      diagnostics.error(entry.at,
                        fmt::format("{} has no parameter {}", policy, config::quote(entry.name)),
                        nearest_hint(entry.name, names) + known);
      continue;
    }
    const auto index = static_cast<size_t>(found - names.begin());
    const ParamInfo& param = table[index];
    const auto value = Reader(param)(entry.value);
    const std::string refusal =
        fmt::format("{} of {} cannot be {}", param.name, policy, show(entry.value));
    if (!value) {
      diagnostics.error(entry.at, refusal, value.error());
      continue;
    }
    if (!in_bounds(param, value.value())) {
      const std::string near = param.type == SLUICE_CHOICE
                                   ? nearest_hint(value.value().s, param.choices)
                                   : std::string();
      diagnostics.error(
          entry.at, refusal,
          fmt::format("{}{}: {}", near, param.type == SLUICE_CHOICE ? "the choices are" : "allowed",
                      render_bounds(param)));
      continue;
    }
    values[index] = value.value();
  }
  return values;
}

}  // namespace sluice::plugins
