#include "host/pool/prometheus_text.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace sluice {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}
bool is_name_char(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

void skip_blanks(std::string_view& text) {
  size_t i = 0;
  while (i < text.size() && is_blank(text[i])) i++;
  text.remove_prefix(i);
}

std::string_view take_name(std::string_view& text) {
  if (text.empty() || !is_name_start(text[0])) return {};
  size_t i = 1;
  while (i < text.size() && is_name_char(text[i])) i++;
  std::string_view name = text.substr(0, i);
  text.remove_prefix(i);
  return name;
}

std::string_view take_word(std::string_view& text) {
  size_t i = 0;
  while (i < text.size() && !is_blank(text[i])) i++;
  std::string_view word = text.substr(0, i);
  text.remove_prefix(i);
  return word;
}

struct Label {
  std::string_view key, value;
};

// One `key="value"` and the comma after it, if any, off TEXT, which does not start with a blank.
bool take_label(std::string_view& text, Label& out) {
  out.key = take_name(text);
  if (out.key.empty() || out.key.find(':') != out.key.npos) return false;
  skip_blanks(text);
  if (text.empty() || text[0] != '=') return false;
  text.remove_prefix(1);
  skip_blanks(text);
  if (text.empty() || text[0] != '"') return false;
  size_t i = 1;
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  if (i >= text.size()) return false;
  out.value = text.substr(1, i - 1);
  text.remove_prefix(i + 1);
  skip_blanks(text);
  if (!text.empty() && text[0] == ',') {
    text.remove_prefix(1);
    skip_blanks(text);
    return true;
  }
  return text.empty() || text[0] == '}';
}

// The text between the braces off TEXT, which starts with '{'.
bool take_labels(std::string_view& text, std::string_view& out) {
  text.remove_prefix(1);
  skip_blanks(text);
  const char* begin = text.data();
  Label label;
  while (!text.empty() && text[0] != '}') {
    if (!take_label(text, label)) return false;
  }
  if (text.empty()) return false;
  out = std::string_view(begin, static_cast<size_t>(text.data() - begin));
  text.remove_prefix(1);
  return true;
}

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); i++) {
    char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + ('a' - 'A')) : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool read_value(std::string_view word, double& out) {
  bool negative = false;
  if (!word.empty() && (word[0] == '+' || word[0] == '-')) {
    negative = word[0] == '-';
    word.remove_prefix(1);
  }
  if (equals_ignoring_case(word, "nan")) {
    out = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  if (equals_ignoring_case(word, "inf") || equals_ignoring_case(word, "infinity")) {
    out = std::numeric_limits<double>::infinity();
  } else {
    if (word.empty() || !((word[0] >= '0' && word[0] <= '9') || word[0] == '.')) return false;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
    // Too large or too small for a double leaves `out` alone; a gauge of that size means nothing
    // here.
    if (error != std::errc() || end != word.data() + word.size()) return false;
  }
  if (negative) out = -out;
  return true;
}

bool is_timestamp(std::string_view word) {
  double ignored = 0;  // OpenMetrics writes seconds with a fraction
  return read_value(word, ignored) && std::isfinite(ignored);
}

bool read_line(std::string_view line, MetricSample& out) {
  out.name = take_name(line);
  if (out.name.empty()) return false;
  skip_blanks(line);
  out.labels = {};
  if (!line.empty() && line[0] == '{' && !take_labels(line, out.labels)) return false;
  skip_blanks(line);
  if (!read_value(take_word(line), out.value)) return false;
  skip_blanks(line);
  if (line.empty() || line[0] == '#') return true;  // '#' opens an OpenMetrics exemplar
  if (!is_timestamp(take_word(line))) return false;
  skip_blanks(line);
  return line.empty() || line[0] == '#';
}

}  // namespace

bool PrometheusText::next(MetricSample& out) {
  while (!rest_.empty()) {
    size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    skip_blanks(line);
    if (line.empty() || line[0] == '#') continue;
    if (read_line(line, out)) return true;
    malformed_++;
  }
  return false;
}

std::optional<std::string_view> find_label(std::string_view labels, std::string_view key) {
  Label label;
  while (!labels.empty()) {
    if (!take_label(labels, label)) return std::nullopt;
    if (label.key == key) return label.value;
  }
  return std::nullopt;
}

std::string unescape_label(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (size_t i = 0; i < value.size(); i++) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      out += value[i];
      continue;
    }
    char next = value[++i];
    if (next == 'n') {
      out += '\n';
    } else if (next == '\\' || next == '"') {
      out += next;
    } else {
      out += '\\';
      out += next;
    }
  }
  return out;
}

}  // namespace sluice
