// Pictures of how latencies are distributed: a panel a band, a line a run.
#include <fmt/format.h>

#include <algorithm>

#include "host/simulate/figures.h"
#include "host/simulate/html.h"
#include "host/simulate/panel.h"
#include "host/simulate/report_charts.h"

namespace sluice::simulate {
namespace {

// What a panel is of: a group in each run, or none.
struct Row {
  std::string name;
  std::vector<const Group*> groups;
};

std::vector<Row> rows_by_band(const Runs& runs) {
  std::vector<Row> rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const Group& band : runs[i].bands) {
      auto row = std::find_if(rows.begin(), rows.end(),
                              [&](const Row& other) { return other.name == band.name; });
      if (row == rows.end()) {
        if (rows.size() == kBandsMax) continue;
        row = rows.insert(rows.end(), {band.name, std::vector<const Group*>(runs.size())});
      }
      row->groups[i] = &band;
    }
  }
  return rows;
}

Row row_of_all(const Runs& runs) {
  Row row{"all requests", {}};
  for (const RunResult& run : runs) row.groups.push_back(&run.all);
  return row;
}

// One scale for all panels: from the fastest per cent to the slowest thousandth.
Axis shared_axis(const std::vector<Row>& rows, Histogram Group::*of) {
  double low = 1e9, high = 0;
  for (const Row& row : rows) {
    for (const Group* group : row.groups) {
      if (group == nullptr || (group->*of).count() == 0) continue;
      low = std::min(low, (group->*of).quantile_s(0.01));
      high = std::max(high, (group->*of).quantile_s(0.999));
    }
  }
  // A little room on the left, or a single value would hide in the frame.
  return Axis::durations(std::min(low, high) * 0.9, high);
}

// "p99 0.41 s  3.2 s", each value with its run's colour.
std::string caption(const Row& row, Histogram Group::*of) {
  Figure p99{.unit = Unit::kSeconds};
  for (const Group* group : row.groups) {
    const bool any = group != nullptr && (group->*of).count() != 0;
    p99.values.push_back(any ? std::optional((group->*of).quantile_s(0.99)) : std::nullopt);
  }
  std::string out =
      fmt::format("<b>{}</b> <span class=\"p99\">p99", escaped(shortened(row.name, kLabelChars)));
  const std::vector<std::string> texts = cells(p99);
  for (size_t i = 0; i < texts.size(); ++i) out += legend_item(fmt::format("r{}", i), texts[i]);
  return out + "</span>";
}

std::string panels(const std::vector<Row>& rows, Histogram Group::*of, const std::string& what) {
  std::string out = "<div class=\"grid3\">\n";
  const Axis x = shared_axis(rows, of);
  for (const Row& row : rows) {
    Panel panel({}, x, Axis::nines(), "Distribution of " + what + " of " + row.name,
                what + " at most", "share of requests");
    bool any = false;
    // The first run is drawn last: it is the one that the others are held against.
    for (size_t i = row.groups.size(); i-- > 0;) {
      if (row.groups[i] == nullptr || (row.groups[i]->*of).count() == 0) continue;
      std::vector<Point> points;
      (row.groups[i]->*of).each([&](double s, double share) { points.push_back({s, share}); });
      panel.steps(points, fmt::format("r{}", i));
      any = true;
    }
    if (!any) panel.remark("no request was answered");
    out += figure(caption(row, of), panel.svg());
  }
  return out + "</div>\n";
}

constexpr const char* kHowToRead =
    "Up and to the left is better. The scale of shares is stretched towards the slow tail: the "
    "slowest 10 % of requests take up two thirds of the height.";

}  // namespace

std::string latency_charts(const Runs& runs) {
  const std::vector<Row> rows = rows_by_band(runs);
  if (rows.empty()) return "";
  return section("latency", "Latency by band", kHowToRead,
                 run_legend(runs) + "<h3>Time to first token</h3>\n" +
                     panels(rows, &Group::ttft, "TTFT") +
                     "<h3>Wait: TTFT less the request's own prefill</h3>\n" +
                     panels(rows, &Group::wait, "wait"));
}

std::string regret_charts(const Runs& runs) {
  std::vector<Row> rows = rows_by_band(runs);
  rows.insert(rows.begin(), row_of_all(runs));
  if (rows.size() == 2) rows.pop_back();  // one band is all requests
  return section("regret", "Regret",
                 "How much longer a request waited at its server, or was held back while a server "
                 "had room for it, than it would have on the best server, had it alone been moved "
                 "there on arrival. 0 is a choice that hindsight cannot better.",
                 run_legend(runs) + panels(rows, &Group::regret, "regret"));
}

}  // namespace sluice::simulate
