#include "host/config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

#include "host/config/limits.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

// The part of LINE that is worth showing, and the caret's line under it. Tabs stay tabs so that
// both lines move alike; everything else takes one column a character, which is how columns are
// counted.
struct Excerpt {
  std::string source, caret;
};

Excerpt excerpt(std::string_view line, uint32_t column) {
  constexpr std::string_view kCut = "...";
  constexpr size_t kBeforeCaret = kSourceWidthMax * 2 / 3;
  size_t characters = 0;
  for (size_t at = 0; at < line.size() && characters < column; characters++) {
    next_character(line, at);
  }
  const size_t target = std::min<size_t>(column - 1, characters);  // at most one behind the end
  const size_t first = target < kBeforeCaret + kCut.size() ? 0 : target - kBeforeCaret;
  Excerpt out;
  if (first != 0) {
    out.source = kCut;
    out.caret.assign(kCut.size(), ' ');
  }
  size_t index = 0;
  for (size_t at = 0; at < line.size(); index++) {
    const std::string_view character = next_character(line, at);
    if (index < first) continue;
    if (index >= first + kSourceWidthMax) {
      out.source += kCut;
      break;
    }
    out.source += character == "\t" ? "\t" : printable(character);
    if (index < target) out.caret += character == "\t" ? '\t' : ' ';
  }
  out.caret += '^';
  return out;
}

}  // namespace

void Diagnostics::set_source(std::string file, std::string text) {
  file_ = std::move(file);
  lines_.clear();
  std::string_view rest = text;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  while (!rest.empty() && lines_.size() < kSourceLinesMax) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines_.emplace_back(line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

void Diagnostics::error(Location at, std::string message, std::string hint) {
  const auto same = [&](const Diagnostic& other) {
    return other.at.line == at.line && other.at.column == at.column && other.message == message;
  };
  if (std::any_of(all_.begin(), all_.end(), same)) return;
  if (errors_++ < kDiagnosticsMax) {
    all_.push_back({Diagnostic::Severity::kError, at, std::move(message), std::move(hint)});
  }
}

void Diagnostics::warning(Location at, std::string message, std::string hint) {
  const size_t kept = std::min<size_t>(errors_, kDiagnosticsMax);
  if (all_.size() - kept < kDiagnosticsMax) {
    all_.push_back({Diagnostic::Severity::kWarning, at, std::move(message), std::move(hint)});
  }
}

std::string Diagnostics::render() const {
  std::vector<const Diagnostic*> sorted;
  for (const Diagnostic& diagnostic : all_) sorted.push_back(&diagnostic);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Diagnostic* a, const Diagnostic* b) {
    return std::pair(a->at.line, a->at.column) < std::pair(b->at.line, b->at.column);
  });

  std::string out;
  const std::string file = printable(file_);
  for (const Diagnostic* diagnostic : sorted) {
    const auto [line, column] = diagnostic->at;
    out += file;
    if (line != 0) out += fmt::format(":{}:{}", line, std::max(column, 1U));
    const bool error = diagnostic->severity == Diagnostic::Severity::kError;
    out += fmt::format(": {}: {}\n", error ? "error" : "warning", printable(diagnostic->message));
    if (line != 0 && line <= lines_.size()) {
      const Excerpt shown = excerpt(lines_[line - 1], std::max(column, 1U));
      out += fmt::format("{:>5} | {}\n      | {}\n", line, shown.source, shown.caret);
    }
    if (!diagnostic->hint.empty())
      out += fmt::format("      hint: {}\n", printable(diagnostic->hint));
  }
  if (errors_ > kDiagnosticsMax) {
    out += fmt::format("{}: {} more errors are not shown\n", file, errors_ - kDiagnosticsMax);
  }
  return out;
}

}  // namespace sluice::config
