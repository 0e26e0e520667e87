#include "host/config/document.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/config/limits.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr auto kNowhere = std::string_view::npos;

// Where TEXT nests deeper than kNestingMax, as a byte offset. It knows strings and comments as TOML
// does; where TOML would object (a string that its line does not close) toml++ stops at the same
// place.
std::optional<size_t> too_deep(std::string_view text) {
  size_t brackets = 0, dots = 0;
  for (size_t at = 0; at < text.size(); at++) {
    const char c = text[at];
    switch (c) {
      case '#':
        at = std::min(text.find('\n', at), text.size()) - 1;
        break;
      case '"':
      case '\'': {
        const std::string_view triple = c == '"' ? R"(""")" : "'''";
        const bool many_lines = text.substr(at).starts_with(triple);
        const std::string_view close = many_lines ? triple : triple.substr(0, 1);
        at += close.size();
        while (at < text.size() && !text.substr(at).starts_with(close)) {
          if (text[at] == '\n' && !many_lines) break;
          at += c == '"' && text[at] == '\\' ? 2 : 1;
        }
        at += close.size() - 1;
        // Up to two quotes right before the closing three belong to the text.
        for (int more = 0; many_lines && more < 2; more++) {
          if (at + 1 < text.size() && text[at + 1] == c) at++;
        }
        break;
      }
      case '.':
        if (++dots > kNestingMax) return at;
        break;
      case '[':
      case '{':
        dots = 0;
        if (++brackets > kNestingMax) return at;
        break;
      case ']':
      case '}':
        dots = 0;
        if (brackets != 0) brackets--;
        break;
      case '\n':
      case ',':
      case '=':
        dots = 0;
        break;
      default:
        break;
    }
  }
  return std::nullopt;
}

// The first byte that is no part of a character.
std::optional<size_t> not_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = next_character(text, at);
    if (character.size() == 1 && static_cast<unsigned char>(character[0]) >= 0x80) return at - 1;
  }
  return std::nullopt;
}

void report_not_utf8(Location at, Diagnostics& diagnostics) {
  diagnostics.error(at, "the file is not valid UTF-8 here", "save it as UTF-8");
}

Location location_of(std::string_view text, size_t offset) {
  const size_t newline = text.rfind('\n', offset);
  const size_t mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const size_t begin = newline == kNowhere ? mark : newline + 1;
  uint32_t column = 1;
  for (size_t at = begin; at < offset; column++) next_character(text, at);
  const auto lines = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(begin), '\n');
  return {static_cast<uint32_t>(lines) + 1, column};
}

std::string_view line_at(std::string_view text, uint32_t line) {
  for (; line > 1; line--) {
    const size_t end = text.find('\n');
    if (end == kNowhere) return "";
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find_first_of("\r\n"));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == kNowhere) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The usual slips behind a syntax error on LINE.
std::string syntax_hint(std::string_view what, std::string_view line) {
  if (what.find("cannot redefine") != kNowhere) {
    return what.find("array") != kNowhere ? "tables that repeat are written [[NAME]] every time"
                                          : "a key or [table] may stand once; merge the two";
  }
  if (what.find("inline table") != kNowhere) return "an inline table { ... } stands on one line";
  const size_t equals = line.find('=');
  if (equals == kNowhere) return "";
  const std::string_view key = trimmed(line.substr(0, equals));
  std::string_view value = line.substr(equals + 1);
  value = trimmed(value.substr(0, value.find('#')));
  const bool is_word = !value.empty() && value.find_first_of("\"'[]{}=") == kNowhere &&
                       !parse_number(value) && !parse_boolean(value);
  if (!is_word || value.size() > kQuoteMax || key.size() > kQuoteMax) return "";
  return fmt::format("text needs quotes: {} = \"{}\"", key, value);
}

void report(const toml::parse_error& error, std::string_view text, Diagnostics& diagnostics) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  const Location at{error.source().begin.line, error.source().begin.column};
  std::string_view what = error.description();
  if (what.find("utf-8") != kNowhere) return report_not_utf8(at, diagnostics);
  if (what.starts_with(kPrefix)) what.remove_prefix(kPrefix.size());
  diagnostics.error(at, "not valid TOML: " + std::string(what.substr(0, 4 * kQuoteMax)),
                    syntax_hint(what, line_at(text, at.line)));
}

}  // namespace

std::optional<toml::table> read_document(std::string_view text, Diagnostics& diagnostics) {
  if (text.size() > kFileBytesMax) {
    diagnostics.error({}, fmt::format("the file is larger than {} MiB", kFileBytesMax >> 20),
                      "is it the right file?");
    return std::nullopt;
  }
  if (const auto wrong = not_utf8(text)) {
    report_not_utf8(location_of(text, *wrong), diagnostics);
    return std::nullopt;
  }
  if (const auto deep = too_deep(text)) {
    diagnostics.error(location_of(text, *deep),
                      fmt::format("more than {} levels of nesting", kNestingMax));
    return std::nullopt;
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    report(error, text, diagnostics);
  } catch (const std::exception& error) {
    diagnostics.error({}, fmt::format("the file cannot be read as TOML: {}", error.what()));
  }
  return std::nullopt;
}

}  // namespace sluice::config
