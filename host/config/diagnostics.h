// What is wrong with a file, where, and what to do: `file:line:col: error: ...` with the line and a
// caret.
//
// Collects; does not throw. The source text is kept so that messages can be added later, when a
// policy's own parameter table is known.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::config {

struct Location {
  uint32_t line = 0, column = 0;  // from 1; 0 = the file as a whole
};

struct Diagnostic {
  enum class Severity : uint8_t { kError, kWarning } severity;
  Location at;
  std::string message;  // one sentence, no full stop
  std::string hint;     // what to do; may be empty
};

class Diagnostics {
 public:
  void set_source(std::string file, std::string text);
  // The same message at the same place counts once: a default acts in many places.
  void error(Location at, std::string message, std::string hint = "");
  void warning(Location at, std::string message, std::string hint = "");

  const std::string& file() const { return file_; }
  bool has_errors() const { return errors_ != 0; }
  const std::vector<Diagnostic>& all() const { return all_; }
  // All of them, in order of position, as people read them; ends with a newline unless empty.
  std::string render() const;

 private:
  std::string file_;
  std::vector<std::string> lines_;
  std::vector<Diagnostic> all_;
  uint32_t errors_ = 0;
};

// The candidate nearest to NAME by edits (insert, delete, replace, swap), or "" if none is near
// enough to be meant.
std::string nearest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace sluice::config
