// A typed view of one TOML table that knows where everything stands and which keys were asked for.
//
// Each read_* takes one key: absent leaves OUT alone and returns false; there and right sets OUT
// and returns true; there and wrong reports what was wanted and what was found, at the value, and
// returns false. Strings are expanded first, and one that reads as the wanted type is taken for it.
// finish() reports the keys that nobody asked for. Threads: one. Ownership: borrows the TOML tree
// and the Source, which must live longer.
#pragma once

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "host/config/config.h"
#include "host/config/diagnostics.h"
#include "host/config/expand.h"

namespace sluice::config {

// What all tables of one file share.
struct Source {
  Diagnostics& diagnostics;
  std::filesystem::path directory;  // what relative paths start from
  Lookup environment;
};

// A string of the file and where it stands.
struct Text {
  std::string text;
  Location at;
};

class TableReader {
 public:
  // PATH is how messages name it, "pool.capacity", and TITLE how the file does, "[pool.capacity]";
  // both "" for the whole file.
  TableReader(const toml::table& table, std::string path, std::string title, Location at,
              Source& source);

  bool has(std::string_view key) const { return table_->contains(key); }
  bool is_table(std::string_view key) const;  // for keys that may be a table or something else
  Location at() const { return at_; }
  Location at(std::string_view key) const;      // of its value; of the table if absent
  Location key_at(std::string_view key) const;  // of the key itself; of the table if absent
  std::string path_of(std::string_view key) const;
  Source& source() const { return *source_; }

  bool read_string(std::string_view key, std::string& out);
  bool read_boolean(std::string_view key, bool& out);
  bool read_number(std::string_view key, double& out, double min, double max);
  bool read_duration(std::string_view key, uint64_t& out);
  bool read_bytes(std::string_view key, uint64_t& out);
  bool read_address(std::string_view key, SocketAddress& out);
  // Made absolute against the directory of the file.
  bool read_path(std::string_view key, std::filesystem::path& out);

  template <typename Int>
  bool read_integer(std::string_view key, Int& out, int64_t min, int64_t max,
                    std::string hint = "") {
    const std::optional<int64_t> value = integer(key, min, max, std::move(hint));
    if (value) out = static_cast<Int>(*value);
    return value.has_value();
  }

  template <typename T>
  bool read_choice(std::string_view key, T& out,
                   std::initializer_list<std::pair<std::string_view, T>> choices) {
    std::vector<std::string_view> names;
    for (const auto& choice : choices) names.push_back(choice.first);
    const std::optional<size_t> index = choice(key, names);
    if (index) out = choices.begin()[*index].second;
    return index.has_value();
  }

  // An array of strings; those that are none are reported and left out. nullopt = absent or no
  // array.
  std::optional<std::vector<Text>> read_strings(std::string_view key);
  // All keys of table KEY with their string values, in the order of their names.
  std::optional<std::vector<std::pair<Text, Text>>> read_map(std::string_view key);
  std::optional<std::vector<ParamValue>> read_params(std::string_view key);

  // USUAL_KEY: what to suggest to those who wrote KEY = "text" instead of KEY = { USUAL_KEY =
  // "text" }.
  std::optional<TableReader> table(std::string_view key, std::string_view usual_key = "");
  // [[KEY]] or an array of inline tables; empty if absent.
  std::vector<TableReader> tables(std::string_view key, size_t max);

  // Reports that KEY must be there. Use after the read_* that returned false; does nothing if it
  // was there but wrong.
  void require(std::string_view key, std::string hint);
  // KEY is known and checked, but its feature is missing; INSTEAD says what acts.
  void not_built(std::string_view key, std::string_view what, std::string_view instead);
  // Reports an error at the value of KEY.
  void error(std::string_view key, std::string message, std::string hint = "");
  void warning(std::string_view key, std::string message, std::string hint = "");
  void finish();

 private:
  // The value of a key. NODE is null if it is absent or was reported; TEXT is set, and expanded,
  // for strings.
  struct Value {
    const toml::node* node = nullptr;
    std::optional<std::string> text;
  };
  const toml::node* find(std::string_view key);  // and remember that KEY is known
  Value take(std::string_view key);
  Value value_of(const toml::node& node, const std::string& path);
  void wrong(const Value& value, const std::string& path, std::string_view wanted,
             std::string hint = "");
  std::optional<int64_t> integer(std::string_view key, int64_t min, int64_t max, std::string hint);
  std::optional<size_t> choice(std::string_view key, const std::vector<std::string_view>& names);
  std::optional<uint64_t> quantity(std::string_view key, std::string_view wanted,
                                   Result<uint64_t> (*parse)(std::string_view));

  const toml::table* table_;
  std::string path_, title_;
  Location at_;
  Source* source_;
  std::vector<std::string_view> known_;  // the keys asked for; literals
};

// What the whole file is blamed for stands at its beginning.
inline constexpr Location kFileStart{1, 1};

Location location_of(const toml::source_region& region);

// "a", "b" and "c": for hints that list what there is.
std::string listed(const std::vector<std::string_view>& names);
// `did you mean "x"?`, or WHAT and the list of all candidates.
std::string suggestion(std::string_view name, const std::vector<std::string_view>& candidates,
                       std::string_view what);

}  // namespace sluice::config
