#include "host/simulate/summary_text.h"

#include <algorithm>

#include "host/config/text.h"
#include "host/simulate/figures.h"
#include "host/simulate/verdict.h"

namespace sluice::simulate {
namespace {

constexpr size_t kLabelMax = 32;  // characters of a run's or a band's name
constexpr size_t kGap = 2;

size_t width_of(const std::string& text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size(); ++width) config::next_character(text, at);
  return width;
}

// TEXT without what a terminal would obey, and not too long.
std::string shown(const std::string& text) {
  const std::string whole = config::printable(text);
  if (width_of(whole) <= kLabelMax) return whole;
  std::string out;
  for (size_t at = 0, n = 0; n + 3 < kLabelMax; ++n) out += config::next_character(whole, at);
  return out + "...";
}

std::string left(const std::string& text, size_t width) {
  return text + std::string(width - std::min(width, width_of(text)), ' ');
}

std::string right(const std::string& text, size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ') + text;
}

constexpr size_t kMark = 7;
const char* mark(Standing standing) {
  return standing == Standing::kWorse ? " WORSE" : standing == Standing::kBetter ? " better" : "";
}

struct Row {
  std::string name;
  std::vector<std::string> cells;
};

std::vector<Row> rows_of(const std::vector<RunResult>& runs, const std::vector<Figure>& figures) {
  std::vector<Row> rows = {{"", {}}};
  for (const RunResult& run : runs) {
    const bool is_first = rows[0].cells.empty();
    rows[0].cells.push_back(shown(run.label) + std::string(is_first ? 0 : kMark, ' '));
  }
  const std::string* band = nullptr;
  for (const Figure& figure : figures) {
    if (!figure.band.empty() && (band == nullptr || *band != figure.band)) {
      rows.push_back({shown(figure.band), std::vector<std::string>(runs.size())});
    }
    band = &figure.band;
    rows.push_back({"  " + figure.name, cells(figure)});
    for (size_t i = 1; i < runs.size(); ++i) {
      rows.back().cells[i] += left(mark(standing(figure, i)), kMark);
    }
  }
  return rows;
}

std::string table(const std::vector<Row>& rows) {
  size_t first = 0;
  std::vector<size_t> widths(rows[0].cells.size());
  for (const Row& row : rows) {
    first = std::max(first, width_of(row.name));
    for (size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row.cells[i]));
    }
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line = left(row.name, first);
    for (size_t i = 0; i < widths.size(); ++i) {
      line += std::string(kGap, ' ') + right(row.cells[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string sentences(const std::string& head, const Verdict& verdict) {
  std::string out = config::printable(head) + '\n';
  const auto line = [&](const std::string& text) { out += "  " + config::printable(text) + '\n'; };
  for (const std::string& clause : verdict.worse) line(clause);
  for (const std::string& clause : verdict.better) line(clause);
  if (!verdict.throughput.empty()) line(verdict.throughput);
  return out;
}

}  // namespace

std::string summary_text(const std::vector<RunResult>& runs) {
  if (runs.empty()) return "";
  const std::vector<Figure> figures = figures_of(runs);
  std::string out = table(rows_of(runs, figures));
  for (size_t i = 1; i < runs.size(); ++i) {
    const Verdict found = verdict(figures, i);
    const std::string what = against(found, shown(runs[0].label));
    out += '\n' + sentences(shown(runs[i].label) + " is " + what, found);
  }
  return out;
}

}  // namespace sluice::simulate
