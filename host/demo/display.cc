#include "host/demo/display.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace sluice::demo {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPlainEverySeconds = 5;
constexpr int kBarWidth = 24;

std::string bar(double share) {
  const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarWidth);
  return "[" + std::string(full, '=') + std::string(kBarWidth - full, ' ') + "]";
}

std::string figure(double value) { return value > 0 ? fmt::format("{:.0f}", value) : "-"; }

std::string ms(double value) { return value > 0 ? figure(value) + " ms" : "-"; }

Json summary_json(const Summary& s) {
  return {{"count", s.count}, {"mean", s.mean}, {"p50", s.p50}, {"p99", s.p99}, {"max", s.max}};
}

Json report_json(const LoadReport& report) {
  Json groups = Json::array();
  for (const GroupReport& g : report.groups) {
    Json statuses = Json::object();
    for (const auto& [status, count] : g.statuses) statuses[std::to_string(status)] = count;
    groups.push_back({{"name", g.name},
                      {"sent", g.sent},
                      {"answered", g.answered},
                      {"inexact", g.inexact},
                      {"statuses", statuses},
                      {"requests_per_second", g.per_second},
                      {"tokens_per_second", g.tokens_per_second},
                      {"first_byte_ms", summary_json(g.first_byte_ms)},
                      {"total_ms", summary_json(g.total_ms)},
                      {"queue_ms", summary_json(g.queue_ms)}});
  }
  return {{"requests_per_second", report.per_second},
          {"tokens_per_second", report.tokens_per_second},
          {"seconds", report.seconds},
          {"groups", groups}};
}

Json part_json(const Part& part, const PartResult& result) {
  Json json;
  if (!part.title.empty()) json["title"] = part.title;
  json["sluice"] = report_json(result.sluice);
  if (result.direct) json["direct"] = report_json(*result.direct);
  if (result.log_check) json["log_check_exit_code"] = *result.log_check;
  return json;
}

}  // namespace

void Display::line(const std::string& text) {
  clear();
  fmt::print(out_, "{}\n", text);
  std::fflush(out_);
}

void Display::progress(const std::string& what, const LoadProgress& p) {
  const std::string status = p.draining
                                 ? "waiting for the last answers"
                                 : fmt::format("{:.0f} of {:.0f} s", p.seconds, p.seconds_total);
  if (!terminal_) {
    if (p.seconds - said_at_ < kPlainEverySeconds && p.seconds >= said_at_) return;
    said_at_ = p.seconds;
    std::string text = fmt::format("  {}, {}: {:.0f} requests/s;", what, status, p.per_second);
    for (const auto& l : p.lines) {
      text += fmt::format(" {} {}{}", l.name, ms(l.first_byte_p50_ms),
                          &l == &p.lines.back() ? "" : ",");
    }
    fmt::print(out_, "{}\n", text);
    std::fflush(out_);
    return;
  }
  std::string text;
  if (drawn_ != 0) text += fmt::format("\033[{}A", drawn_);
  auto add = [&](const std::string& l) { text += "\033[2K" + l + "\n"; };
  add(fmt::format("  {:<24} {} {}  {:.0f} requests/s", what, bar(p.seconds / p.seconds_total),
                  status, p.per_second));
  for (const auto& l : p.lines) {
    add(fmt::format("    {:<20} {:>5} open {:>8} done {:>10} to first byte{}", l.name, l.open,
                    l.done, ms(l.first_byte_p50_ms),
                    l.failed != 0 ? fmt::format("  {} failed", l.failed) : ""));
  }
  drawn_ = p.lines.size() + 1;
  fmt::print(out_, "{}", text);
  std::fflush(out_);
}

void Display::clear() {
  if (drawn_ != 0) fmt::print(out_, "\033[{}A\033[J", drawn_);
  drawn_ = 0;
  said_at_ = 0;
}

std::string render_table(const Part& part, const PartResult& result) {
  std::string out;
  auto add = [&](std::string_view name, std::string_view open, auto cells) {
    fmt::format_to(std::back_inserter(out), "  {:<20}{:>6}", name, open);
    cells(result.sluice);
    if (result.direct) cells(*result.direct);
    out += '\n';
  };
  const std::string columns = fmt::format("  |{:>9}{:>10}{:>10}", "req/s", "p50 ms", "p99 ms");
  if (!part.title.empty()) out += "  " + part.title + "\n";
  fmt::format_to(std::back_inserter(out), "  {:<26}  |{:>29}{}\n", "", "through Sluice",
                 result.direct ? fmt::format("  |{:>29}", "straight to the servers") : "");
  fmt::format_to(std::back_inserter(out), "  {:<20}{:>6}{}{}\n", "to first byte", "open", columns,
                 result.direct ? columns : "");
  for (size_t g = 0; g < part.groups.size(); ++g) {
    const Group& group = part.groups[g];
    add(group.name, group.open != 0 ? std::to_string(group.open) : "", [&](const LoadReport& r) {
      const GroupReport& report = r.groups[g];
      fmt::format_to(std::back_inserter(out), "  |{:>9.1f}{:>10}{:>10}", report.per_second,
                     figure(report.first_byte_ms.p50), figure(report.first_byte_ms.p99));
    });
  }
  if (part.groups.size() > 1) {
    add("all", "", [&](const LoadReport& r) {
      fmt::format_to(std::back_inserter(out), "  |{:>9.1f}{:>10}{:>10}", r.per_second, "", "");
    });
  }
  return out;
}

std::string render_promises(const std::vector<Promise>& promises) {
  std::string out;
  for (const Promise& promise : promises) {
    fmt::format_to(std::back_inserter(out), "  {}  {}\n", promise.kept ? "kept  " : "BROKEN",
                   promise.text);
  }
  return out;
}

std::string render_json(const Scenario& scenario, const std::vector<std::vector<PartResult>>& runs,
                        const std::vector<PartResult>& medians,
                        const std::vector<Promise>& promises) {
  Json json;
  json["scenario"] = scenario.name;
  json["warmup_seconds"] = scenario.warmup_s;
  json["duration_seconds"] = scenario.duration_s;
  auto parts_json = [&](const std::vector<PartResult>& parts) {
    Json out = Json::array();
    for (size_t p = 0; p < parts.size(); ++p) out.push_back(part_json(scenario.parts[p], parts[p]));
    return out;
  };
  json["runs"] = Json::array();
  for (const auto& run : runs) json["runs"].push_back(parts_json(run));
  json["medians"] = parts_json(medians);
  json["promises"] = Json::array();
  for (const Promise& promise : promises) {
    json["promises"].push_back({{"text", promise.text}, {"kept", promise.kept}});
  }
  json["kept"] =
      std::all_of(promises.begin(), promises.end(), [](const Promise& p) { return p.kept; });
  return json.dump(2) + "\n";
}

}  // namespace sluice::demo
