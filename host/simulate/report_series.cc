// Pictures of what happened over time: a panel a run, all on the same scale.
#include <fmt/format.h>

#include <algorithm>

#include "host/simulate/html.h"
#include "host/simulate/panel.h"
#include "host/simulate/report_charts.h"

namespace sluice::simulate {
namespace {

constexpr Frame kWide{.width = 560, .height = 260};
constexpr size_t kLayerPoints = 200;

// Means of VALUES over equal stretches, at most kLayerPoints of them.
class Layer {
 public:
  Layer(size_t values, double step_s)
      : stride_(std::max<size_t>(1, (values + kLayerPoints - 1) / kLayerPoints)),
        sums_((values + stride_ - 1) / stride_),
        values_(values),
        step_s_(step_s) {}

  void add(const Series& series) {
    for (size_t i = 0; i < std::min(values_, series.values.size()); ++i) {
      sums_[i / stride_] += std::max(0.F, series.values[i]);
    }
  }
  void add(const Layer& other) {
    for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  }
  std::vector<Point> points() const {
    std::vector<Point> out;
    for (size_t i = 0; i < sums_.size(); ++i) {
      const size_t from = i * stride_, to = std::min(values_, from + stride_);
      const double mean = sums_[i] / static_cast<double>(to - from);
      if (i == 0) out.push_back({0, mean});
      out.push_back({static_cast<double>(from + to) / 2 * step_s_, mean});
      if (to == values_) out.push_back({static_cast<double>(to) * step_s_, mean});
    }
    return out;
  }

 private:
  size_t stride_;
  std::vector<double> sums_;
  size_t values_;
  double step_s_;
};

size_t longest(const std::vector<Series>& many) {
  size_t length = 0;
  for (const Series& series : many) length = std::max(length, series.values.size());
  return length;
}

double highest(const std::vector<Point>& points) {
  double high = 0;
  for (const Point& point : points) high = std::max(high, point.y);
  return high;
}

void shade_outside(Panel& panel, const RunResult& run, double end_s) {
  panel.shade(0, run.window_from_s);
  if (run.window_to_s > run.window_from_s) panel.shade(run.window_to_s, end_s);
}

// Where requests of one run stand: layers from the bottom, each with its colour; the last is what
// waits at the servers.
struct Stack {
  std::vector<std::vector<Point>> tops;
  std::vector<std::string> css;
};

Stack stack_of(const RunResult& run, const std::vector<std::string>& bands) {
  const size_t length = std::max(longest(run.parked), longest(run.waiting));
  Stack stack;
  Layer sum(length, run.step_s);
  for (size_t b = 0; b < bands.size(); ++b) {
    for (const Series& series : run.parked) {
      if (series.name == bands[b]) sum.add(series);
    }
    stack.tops.push_back(sum.points());
    stack.css.push_back(fmt::format("b{}", std::min(b, kBandsMax - 1)));
  }
  for (const Series& series : run.waiting) sum.add(series);
  stack.tops.push_back(sum.points());
  stack.css.push_back("bq");
  return stack;
}

std::vector<std::string> names_of(const Runs& runs, std::vector<Series> RunResult::*of) {
  std::vector<std::string> names;
  for (const RunResult& run : runs) {
    for (const Series& series : run.*of) {
      if (std::find(names.begin(), names.end(), series.name) == names.end()) {
        names.push_back(series.name);
      }
    }
  }
  return names;
}

// The tenants with most service at the end, in any run.
std::vector<std::string> top_tenants(const Runs& runs) {
  std::vector<std::string> names = names_of(runs, &RunResult::service);
  const auto most = [&](const std::string& name) {
    float high = 0;
    for (const RunResult& run : runs) {
      for (const Series& series : run.service) {
        if (series.name == name && !series.values.empty()) {
          high = std::max(high, series.values.back());
        }
      }
    }
    return high;
  };
  std::vector<std::pair<float, std::string>> ranked;
  for (const std::string& name : names) ranked.emplace_back(most(name), name);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (ranked.size() > kTenantLines) ranked.resize(kTenantLines);
  names.clear();
  for (const auto& [service, name] : ranked) names.push_back(name);
  return names;
}

std::string legend(const std::string& letter, const std::vector<std::string>& names, size_t most) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    out += legend_item(fmt::format("{}{}", letter, std::min(i, most - 1)),
                       shortened(names[i], kLabelChars));
  }
  return out;
}

}  // namespace

double series_end_s(const Runs& runs) {
  double end_s = 0;
  for (const RunResult& run : runs) {
    for (const auto* many : {&run.parked, &run.running, &run.waiting, &run.service}) {
      end_s = std::max(end_s, static_cast<double>(longest(*many)) * run.step_s);
    }
  }
  return end_s;
}

std::string queue_charts(const Runs& runs) {
  const std::vector<std::string> bands = names_of(runs, &RunResult::parked);
  std::vector<Stack> stacks;
  double high = 0;
  for (const RunResult& run : runs) {
    stacks.push_back(stack_of(run, bands));
    high = std::max(high, highest(stacks.back().tops.back()));
  }
  const double end_s = series_end_s(runs);
  std::string panels = "<div class=\"grid2\">\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    Panel panel(kWide, Axis::time(end_s), Axis::amounts(high),
                "Requests waiting over time in run " + runs[i].label, "simulated time",
                "requests waiting");
    shade_outside(panel, runs[i], end_s);
    std::vector<Point> lower = stacks[i].tops.back();
    for (Point& point : lower) point.y = 0;
    for (size_t layer = 0; layer < stacks[i].tops.size(); ++layer) {
      panel.area(lower, stacks[i].tops[layer], stacks[i].css[layer]);
      lower = stacks[i].tops[layer];
    }
    if (highest(lower) <= 0) panel.remark("nothing waited");
    panels += figure(run_caption(runs[i]), panel.svg());
  }
  return section(
      "queue", "Where requests waited",
      "What is parked in the central queue can still go anywhere, and a more urgent request goes "
      "first. What stands in a server's own queue can do neither.",
      "<p class=\"legend\">parked" + legend("b", bands, kBandsMax) +
          legend_item("bq", "in a server\xe2\x80\x99s own queue") + "</p>\n" + panels + "</div>\n");
}

std::string service_charts(const Runs& runs) {
  const std::vector<std::string> tenants = top_tenants(runs);
  if (tenants.empty()) return "";
  double high = 0;
  for (const RunResult& run : runs) {
    for (const Series& series : run.service) {
      if (std::find(tenants.begin(), tenants.end(), series.name) == tenants.end()) continue;
      if (!series.values.empty()) high = std::max(high, static_cast<double>(series.values.back()));
    }
  }
  const double end_s = series_end_s(runs);
  std::string panels = "<div class=\"grid2\">\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    Panel panel(kWide, Axis::time(end_s), Axis::amounts(high),
                "Accumulated service by tenant in run " + runs[i].label, "simulated time",
                "service, tokens weighted by cost");
    shade_outside(panel, runs[i], end_s);
    for (size_t t = tenants.size(); t-- > 0;) {
      for (const Series& series : runs[i].service) {
        if (series.name != tenants[t]) continue;
        std::vector<Point> points = {{0, 0}};
        for (size_t n = 0; n < series.values.size(); ++n) {
          points.push_back({static_cast<double>(n + 1) * runs[i].step_s, series.values[n]});
        }
        panel.line(points, fmt::format("c{}", t));
      }
    }
    panels +=
        figure(run_caption(runs[i]) + fmt::format("<span class=\"p99\">largest gap {}</span>",
                                                  short_number(runs[i].fairness.accumulated_gap)),
               panel.svg());
  }
  const size_t all = names_of(runs, &RunResult::service).size();
  return section(
      "service", "Service by tenant",
      fmt::format("Service that each tenant has had since the beginning; lines of "
                  "tenants that wait side by side should rise together.{}",
                  all > tenants.size()
                      ? fmt::format(" The {} of {} tenants with most service.", tenants.size(), all)
                      : ""),
      "<p class=\"legend\">" + legend("c", tenants, kTenantLines) + "</p>\n" + panels + "</div>\n");
}

}  // namespace sluice::simulate
