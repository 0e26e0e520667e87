// Pictures of what each server did over time: a row a server, the darker the more.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/simulate/html.h"
#include "host/simulate/panel.h"
#include "host/simulate/report_charts.h"

namespace sluice::simulate {
namespace {

constexpr int kLevels = 6;          // of darkness, beyond nothing
constexpr size_t kCellsMax = 2400;  // of one strip
constexpr size_t kColumnsMax = 240;
constexpr size_t kNameChars = 11;
constexpr double kGapPx = 1;

double row_height(size_t rows) { return rows <= 8 ? 18 : rows <= 16 ? 12 : 7; }

// The mean of SERIES over each of COLUMNS equal stretches of STEPS values.
std::vector<double> means(const Series& series, size_t steps, size_t columns) {
  std::vector<double> out(columns);
  for (size_t c = 0; c < columns; ++c) {
    const size_t from = c * steps / columns, to = (c + 1) * steps / columns;
    double sum = 0;
    for (size_t i = from; i < std::min(to, series.values.size()); ++i) sum += series.values[i];
    out[c] = to > from ? sum / static_cast<double>(to - from) : 0;
  }
  return out;
}

int level_of(double value, double high) {
  if (!(value > 0) || high <= 0 || value < high / 200) return 0;
  return std::clamp(static_cast<int>(std::ceil(value / high * kLevels)), 1, kLevels);
}

struct Strip {
  const char* css;   // the colour of what is shown
  const char* what;  // "running"
  std::vector<Series> RunResult::*of;
  double high = 0;
};

double highest(const Runs& runs, std::vector<Series> RunResult::*of) {
  float high = 0;
  for (const RunResult& run : runs) {
    for (const Series& series : run.*of) {
      for (const float value : series.values) high = std::max(high, value);
    }
  }
  return high;
}

std::string strip_svg(const RunResult& run, const Strip& strip, double end_s) {
  const std::vector<Series>& many = run.*strip.of;
  const size_t rows = std::clamp<size_t>(many.size(), 1, kServerRows);
  const double height = row_height(rows);
  Frame frame{.width = 560, .left = 72, .top = 4, .bottom = 24};
  frame.height = frame.top + frame.bottom + height * static_cast<double>(rows);
  const double width = frame.width - frame.left - frame.right;

  const auto steps =
      run.step_s > 0 ? static_cast<size_t>(std::lround(end_s / run.step_s)) : size_t{0};
  const size_t columns =
      std::min({kColumnsMax, std::max<size_t>(1, kCellsMax / rows), std::max<size_t>(1, steps)});
  std::string out = svg_begin(
      frame.width, frame.height,
      fmt::format("Requests {} at each server over time in run {}", strip.what, run.label));
  std::vector<std::string> paths(kLevels + 1);
  for (size_t r = 0; r < std::min(rows, many.size()); ++r) {
    const double top = frame.top + height * static_cast<double>(r);
    if (height >= 10 || r % 2 == 0) {
      out += svg_text(frame.left - 7, top + height / 2 + 4, "t end",
                      shortened(many[r].name, kNameChars));
    }
    const std::vector<double> values = means(many[r], steps, columns);
    // Neighbours of the same level are one rectangle.
    for (size_t c = 0, next = 0; c < columns; c = next) {
      const int level = level_of(values[c], strip.high);
      for (next = c + 1; next < columns && level_of(values[next], strip.high) == level;) ++next;
      const auto x = [&](size_t column) {
        return frame.left + width * static_cast<double>(column) / static_cast<double>(columns);
      };
      paths[static_cast<size_t>(level)] +=
          fmt::format("M{} {}H{}v{}H{}z", coordinate(x(c)), coordinate(top), coordinate(x(next)),
                      coordinate(height - kGapPx), coordinate(x(c)));
    }
  }
  for (size_t level = 0; level < paths.size(); ++level) {
    if (paths[level].empty()) continue;
    out += fmt::format("<path class=\"{} h{}\" d=\"{}\"/>\n", level == 0 ? "track" : strip.css,
                       level, paths[level]);
  }
  if (many.empty()) out += svg_text(frame.left + width / 2, frame.top + 14, "t mid", "no servers");
  return out + svg_x_ticks(frame, Axis::time(end_s)) + "</svg>\n";
}

std::string scale(const Strip& strip) {
  std::string out = fmt::format("<span class=\"scale\">{} 0", strip.what);
  out +=
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 98 12\" class=\"ramp\" "
      "aria-hidden=\"true\">";
  for (int level = 0; level <= kLevels; ++level) {
    out += fmt::format("<rect class=\"{} h{}\" x=\"{}\" y=\"0\" width=\"13\" height=\"12\"/>",
                       level == 0 ? "track" : strip.css, level, level * 14);
  }
  return out + "</svg>" + short_number(std::ceil(strip.high)) + "</span>";
}

}  // namespace

std::string server_charts(const Runs& runs) {
  const double end_s = series_end_s(runs);
  Strip running{"heat", "running", &RunResult::running};
  Strip waiting{"queue", "in its own queue", &RunResult::waiting};
  size_t most = 0;
  for (Strip* strip : {&running, &waiting}) {
    strip->high = highest(runs, strip->of);
    for (const RunResult& run : runs) most = std::max(most, (run.*strip->of).size());
  }
  std::string panels = "<div class=\"grid2\">\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    panels += figure(run_caption(runs[i]),
                     "<p class=\"over\">running</p>" + strip_svg(runs[i], running, end_s) +
                         "<p class=\"over\">waiting in the server\xe2\x80\x99s own queue</p>" +
                         strip_svg(runs[i], waiting, end_s));
  }
  const std::string rest =
      most > kServerRows ? fmt::format(" The first {} of {} servers.", kServerRows, most) : "";
  return section(
      "servers", "What the servers did",
      "A row is a server; the stronger its colour, the more requests it has. Pale stretches of "
      "what runs are room that nobody used." +
          rest,
      "<p class=\"legend\">" + scale(running) + scale(waiting) + "</p>\n" + panels + "</div>\n");
}

}  // namespace sluice::simulate
