// The read_* of TableReader.
#include <fmt/format.h>

#include <cmath>

#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

constexpr const char* kDurationWanted = R"(a duration such as "250ms" or "5m")";
constexpr const char* kBytesWanted = R"(a size such as "64KiB" or "1GiB")";

// "found ..." in messages. TEXT: what a string says once it is expanded.
std::string describe(const toml::node& node, const std::optional<std::string>& text) {
  switch (node.type()) {
    case toml::node_type::string:
      return quote(text ? *text : node.as_string()->get());
    case toml::node_type::integer:
      return fmt::format("the number {}", node.as_integer()->get());
    case toml::node_type::floating_point:
      return fmt::format("the number {}", node.as_floating_point()->get());
    case toml::node_type::boolean:
      return node.as_boolean()->get() ? "true" : "false";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

}  // namespace

void TableReader::wrong(const Value& value, const std::string& path, std::string_view wanted,
                        std::string hint) {
  source_->diagnostics.error(
      location_of(value.node->source()),
      fmt::format("{} wants {}, found {}", path, wanted, describe(*value.node, value.text)),
      std::move(hint));
}

TableReader::Value TableReader::value_of(const toml::node& node, const std::string& path) {
  const auto* string = node.as_string();
  if (string == nullptr) return {&node, std::nullopt};
  Result<std::string> text = expand(string->get(), source_->environment);
  if (text) return {&node, std::move(*text)};
  source_->diagnostics.error(location_of(node.source()),
                             fmt::format("{} cannot be filled in: {}", path, text.error()),
                             "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${");
  return {};
}

TableReader::Value TableReader::take(std::string_view key) {
  const toml::node* node = find(key);
  return node == nullptr ? Value{} : value_of(*node, path_of(key));
}

bool TableReader::read_string(std::string_view key, std::string& out) {
  Value value = take(key);
  if (value.node == nullptr) return false;
  if (!value.text) {
    wrong(value, path_of(key), "text in quotes");
    return false;
  }
  out = std::move(*value.text);
  return true;
}

bool TableReader::read_boolean(std::string_view key, bool& out) {
  const Value value = take(key);
  if (value.node == nullptr) return false;
  const auto boolean = value.text ? parse_boolean(*value.text) : value.node->value_exact<bool>();
  if (!boolean) {
    wrong(value, path_of(key), "true or false");
    return false;
  }
  out = *boolean;
  return true;
}

bool TableReader::read_number(std::string_view key, double& out, double min, double max) {
  const Value value = take(key);
  if (value.node == nullptr) return false;
  std::optional<double> number;
  if (value.text) {
    number = parse_number(*value.text);
  } else if (value.node->is_number()) {
    number = value.node->value<double>();
  }
  if (!number || !(*number >= min && *number <= max)) {  // a NaN is in no range
    wrong(value, path_of(key), fmt::format("a number from {} to {}", min, max));
    return false;
  }
  out = *number;
  return true;
}

std::optional<int64_t> TableReader::integer(std::string_view key, int64_t min, int64_t max,
                                            std::string hint) {
  const Value value = take(key);
  if (value.node == nullptr) return std::nullopt;
  const auto number = value.text ? parse_integer(*value.text) : value.node->value_exact<int64_t>();
  if (number && *number >= min && *number <= max) return number;
  wrong(value, path_of(key),
        min == max         ? fmt::format("the number {}", min)
        : max == INT64_MAX ? fmt::format("a whole number from {} up", min)
                           : fmt::format("a whole number from {} to {}", min, max),
        std::move(hint));
  return std::nullopt;
}

std::optional<uint64_t> TableReader::quantity(std::string_view key, std::string_view wanted,
                                              Result<uint64_t> (*parse)(std::string_view)) {
  const Value value = take(key);
  if (value.node == nullptr) return std::nullopt;
  const auto* number = value.node->as_integer();
  if (!value.text && number == nullptr) {
    wrong(value, path_of(key), wanted);
    return std::nullopt;
  }
  auto parsed = parse(value.text ? *value.text : std::to_string(number->get()));
  if (parsed) return *parsed;
  wrong(value, path_of(key), wanted, parsed.error());
  return std::nullopt;
}

bool TableReader::read_duration(std::string_view key, uint64_t& out) {
  const std::optional<uint64_t> value = quantity(key, kDurationWanted, parse_duration);
  if (value) out = *value;
  return value.has_value();
}

bool TableReader::read_bytes(std::string_view key, uint64_t& out) {
  const std::optional<uint64_t> value = quantity(key, kBytesWanted, parse_bytes);
  if (value) out = *value;
  return value.has_value();
}

bool TableReader::read_address(std::string_view key, SocketAddress& out) {
  std::string text;
  if (!read_string(key, text)) return false;
  Result<SocketAddress> address = parse_address(text);
  if (!address) {
    error(key, fmt::format("{} wants HOST:PORT, found {}", path_of(key), quote(text)),
          address.error());
    return false;
  }
  out = std::move(*address);
  return true;
}

bool TableReader::read_path(std::string_view key, std::filesystem::path& out) {
  std::string text;
  if (!read_string(key, text)) return false;
  if (text.empty() || text.find('\0') != std::string::npos) {
    error(key, fmt::format("{} wants a path, found {}", path_of(key), quote(text)));
    return false;
  }
  out = (source_->directory / text).lexically_normal();
  return true;
}

std::optional<size_t> TableReader::choice(std::string_view key,
                                          const std::vector<std::string_view>& names) {
  std::string text;
  if (!read_string(key, text)) return std::nullopt;
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return found - names.begin();
  const std::string near = nearest(text, names);
  error(key, fmt::format("{} is one of {}, not {}", path_of(key), listed(names), quote(text)),
        near.empty() ? "" : "did you mean " + quote(near) + "?");
  return std::nullopt;
}

std::optional<std::vector<Text>> TableReader::read_strings(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    const auto* string = node->as_string();
    wrong({node, {}}, path_of(key), "an array of strings",
          string == nullptr ? "" : fmt::format("write {} = [{}]", key, quote(string->get())));
    return std::nullopt;
  }
  std::vector<Text> out;
  for (const toml::node& element : *array) {
    if (out.size() == kEntriesMax) {
      source_->diagnostics.error(
          location_of(element.source()),
          fmt::format("{} has more than {} entries", path_of(key), kEntriesMax));
      break;
    }
    Value value = value_of(element, path_of(key));
    if (value.text) {
      out.push_back({std::move(*value.text), location_of(element.source())});
    } else if (value.node != nullptr) {
      wrong(value, path_of(key), "strings only");
    }
  }
  return out;
}

std::optional<std::vector<std::pair<Text, Text>>> TableReader::read_map(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    wrong({node, {}}, path_of(key), "a table of strings");
    return std::nullopt;
  }
  std::vector<std::pair<Text, Text>> out;
  for (const auto& [name, entry] : *table) {
    const std::string path = fmt::format("{}.{}", path_of(key), quote(name.str()));
    Value value = value_of(entry, path);
    if (value.text) {
      out.push_back({Text{std::string(name.str()), location_of(name.source())},
                     Text{std::move(*value.text), location_of(entry.source())}});
    } else if (value.node != nullptr) {
      wrong(value, path, "text in quotes");
    }
  }
  return out;
}

std::optional<std::vector<ParamValue>> TableReader::read_params(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    wrong({node, {}}, path_of(key), "a table", "such as params = { quantum = 512 }");
    return std::nullopt;
  }
  std::vector<ParamValue> out;
  for (const auto& [name, entry] : *table) {
    const std::string path = fmt::format("{}.{}", path_of(key), name.str());
    const Value value = value_of(entry, path);
    if (value.node == nullptr) continue;
    ParamValue param{std::string(name.str()), false, location_of(entry.source())};
    if (value.text) {
      param.value = *value.text;
    } else if (const auto boolean = entry.value_exact<bool>()) {
      param.value = *boolean;
    } else if (const auto whole = entry.value_exact<int64_t>()) {
      param.value = *whole;
    } else if (const auto number = entry.value_exact<double>(); number && std::isfinite(*number)) {
      param.value = *number;
    } else {
      wrong(value, path, "true or false, a finite number or text");
      continue;
    }
    out.push_back(std::move(param));
  }
  return out;
}

}  // namespace sluice::config
