#include "host/config/reader.h"

#include <fmt/format.h>

#include "host/config/limits.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

bool holds_tables(const toml::node& node) {
  const toml::array* array = node.as_array();
  return array != nullptr && !array->empty() && array->front().is_table();
}

}  // namespace

Location location_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

std::string listed(const std::vector<std::string_view>& names) {
  constexpr size_t kListedMax = 24;
  std::string out;
  for (size_t i = 0; i < names.size(); i++) {
    if (i == kListedMax) return out + ", ...";
    if (i != 0) out += i + 1 == names.size() ? " and " : ", ";
    out += quote(names[i]);
  }
  return out;
}

std::string suggestion(std::string_view name, const std::vector<std::string_view>& candidates,
                       std::string_view what) {
  const std::string near = nearest(name, candidates);
  if (!near.empty()) return "did you mean " + quote(near) + "?";
  return candidates.empty() ? "" : fmt::format("{} {}", what, listed(candidates));
}

TableReader::TableReader(const toml::table& table, std::string path, std::string title, Location at,
                         Source& source)
    : table_(&table), path_(std::move(path)), title_(std::move(title)), at_(at), source_(&source) {}

bool TableReader::is_table(std::string_view key) const {
  const toml::node* node = table_->get(key);
  return node != nullptr && node->is_table();
}

Location TableReader::at(std::string_view key) const {
  const toml::node* node = table_->get(key);
  return node == nullptr ? at_ : location_of(node->source());
}

Location TableReader::key_at(std::string_view key) const {
  const auto found = table_->find(key);
  return found == table_->cend() ? at_ : location_of(found->first.source());
}

std::string TableReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const toml::node* TableReader::find(std::string_view key) {
  known_.push_back(key);
  return table_->get(key);
}

void TableReader::error(std::string_view key, std::string message, std::string hint) {
  source_->diagnostics.error(at(key), std::move(message), std::move(hint));
}

void TableReader::warning(std::string_view key, std::string message, std::string hint) {
  source_->diagnostics.warning(at(key), std::move(message), std::move(hint));
}

void TableReader::require(std::string_view key, std::string hint) {
  if (has(key)) return;
  source_->diagnostics.error(at_, fmt::format("{} lacks {}", title_, quote(key)), std::move(hint));
}

void TableReader::not_built(std::string_view key, std::string_view what, std::string_view instead) {
  source_->diagnostics.warning(key_at(key), fmt::format("{} is not built yet; {}", what, instead));
}

std::optional<TableReader> TableReader::table(std::string_view key, std::string_view usual_key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const std::string path = path_of(key);
  if (const toml::table* table = node->as_table()) {
    return TableReader(*table, path, "[" + path + "]", location_of(node->source()), *source_);
  }
  std::string hint;
  if (holds_tables(*node)) {
    hint = fmt::format("it stands once: [{0}], not [[{0}]]", path);
  } else if (const auto* text = node->as_string(); text != nullptr && !usual_key.empty()) {
    hint = fmt::format("write {} = {{ {} = {} }}", key, usual_key, quote(text->get()));
  }
  wrong({node, {}}, path, "a table", std::move(hint));
  return std::nullopt;
}

std::vector<TableReader> TableReader::tables(std::string_view key, size_t max) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  const std::string path = path_of(key);
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    wrong({node, {}}, path, "an array of tables",
          node->is_table() ? fmt::format("each one is written [[{0}]], not [{0}]", path) : "");
    return {};
  }
  std::vector<TableReader> out;
  for (const toml::node& element : *array) {
    if (out.size() == max) {
      source_->diagnostics.error(location_of(element.source()),
                                 fmt::format("more than {} of {}", max, path));
      break;
    }
    if (const toml::table* table = element.as_table()) {
      out.emplace_back(*table, path, "[[" + path + "]]", location_of(element.source()), *source_);
    } else {
      wrong({&element, {}}, path, "tables only");
    }
  }
  return out;
}

void TableReader::finish() {
  for (const auto& [key, value] : *table_) {
    if (std::find(known_.begin(), known_.end(), key.str()) != known_.end()) continue;
    source_->diagnostics.error(
        location_of(key.source()),
        fmt::format("unknown key {}{}", quote(key.str()), title_.empty() ? "" : " in " + title_),
        suggestion(key.str(), known_, "known here:"));
  }
}

}  // namespace sluice::config
