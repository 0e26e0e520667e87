#include "host/simulate/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "host/simulate/axis.h"
#include "host/simulate/figures.h"
#include "host/simulate/html.h"
#include "host/simulate/report_charts.h"
#include "host/simulate/report_style.h"
#include "host/simulate/verdict.h"

namespace sluice::simulate {
namespace {

std::string label(const RunResult& run) { return escaped(shortened(run.label, kLabelChars)); }

// In its colour, as far as that is readable.
std::string name(const Runs& runs, size_t run) {
  return fmt::format("<span class=\"n r{}\">{}</span>", run, label(runs[run]));
}

const Figure* find(const std::vector<Figure>& figures, const std::string& band,
                   const std::string& key) {
  for (const Figure& figure : figures) {
    if (figure.band == band && figure.key == key) return &figure;
  }
  return nullptr;
}

const char* css_of(Standing standing) {
  return standing == Standing::kWorse ? "worse" : standing == Standing::kBetter ? "better" : "";
}

// Markup: as against() has it, with the first run's name in its colour.
std::string finding(const Runs& runs, const Verdict& found, size_t run) {
  constexpr char kMark = '\x01';  // where the first one's name goes; comes before any band's
  const std::string text = against(found, std::string(1, kMark));
  const size_t at = text.find(kMark);
  return name(runs, run) + " is " + escaped(text.substr(0, at)) + name(runs, 0) +
         escaped(text.substr(at + 1));
}

// ": critical p99 TTFT 0.41 s at 8,000 tokens/s".
std::string alone(const RunResult& run, const std::vector<Figure>& figures) {
  const Figure* ttft = run.bands.empty() ? nullptr : find(figures, run.bands[0].name, "ttft_p99_s");
  if (ttft == nullptr) return "";
  return fmt::format(": {} p99 TTFT {} at {}", escaped(shortened(ttft->band, kLabelChars)),
                     cells(*ttft)[0], with_unit(Unit::kTokensPerSecond, run.tokens_per_s));
}

// What a reader takes home who reads nothing else.
std::string headline(const Runs& runs, const std::vector<Figure>& figures) {
  if (runs.empty()) return "No run";
  if (runs.size() == 1) return label(runs[0]) + alone(runs[0], figures);
  if (runs.size() == 2) return finding(runs, verdict(figures, 1), 1);
  return fmt::format("{} runs against {}", runs.size() - 1, name(runs, 0));
}

std::string clauses(const char* word, const std::vector<std::string>& texts) {
  if (texts.empty()) return "";
  std::string out = fmt::format("<div><h3 class=\"{}\">{}</h3><ul>", word, word);
  for (const std::string& text : texts) out += "<li>" + escaped(text) + "</li>";
  return out + "</ul></div>";
}

std::string verdicts(const Runs& runs, const std::vector<Figure>& figures) {
  std::string out;
  for (size_t i = 1; i < runs.size(); ++i) {
    const Verdict found = verdict(figures, i);
    out += fmt::format("<div class=\"verdict v-{}\">", to_string(found.word));
    if (runs.size() > 2) out += "<p><b>" + finding(runs, found, i) + "</b></p>";
    out += "<div class=\"sides\">" + clauses("worse", found.worse) +
           clauses("better", found.better) + "</div><p>" + escaped(found.throughput) +
           "</p></div>\n";
  }
  return out;
}

// One figure as bars, a bar a run.
std::string tile(const Runs& runs, const std::string& title, const Figure& figure) {
  double high = 0;
  for (const auto& value : figure.values) high = std::max(high, value.value_or(0));
  // Numbers alone are large enough to be read first; the title has the unit.
  Figure shown = figure;
  if (figure.unit == Unit::kTokensPerSecond) shown.unit = Unit::kCount;
  const std::vector<std::string> texts = cells(shown);
  std::string out = fmt::format("<div class=\"tile\"><h3>{}</h3>\n", escaped(title));
  for (size_t i = 0; i < runs.size(); ++i) {
    const double share = high > 0 ? figure.values[i].value_or(0) / high : 0;
    out += fmt::format(
        "<div class=\"row\"><span class=\"who\">{}</span><span class=\"num {}\">{}</span></div>"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 100 6\" "
        "preserveAspectRatio=\"none\" class=\"bar\" aria-hidden=\"true\">"
        "<rect class=\"track\" width=\"100\" height=\"6\"/>"
        "<rect class=\"f r{}\" width=\"{}\" height=\"6\"/></svg>\n",
        label(runs[i]), i == 0 ? "" : css_of(standing(figure, i)), texts[i], i,
        coordinate(std::max(share * 100, figure.values[i].value_or(0) > 0 ? 0.5 : 0)));
  }
  return out + "</div>\n";
}

std::string tiles(const Runs& runs, const std::vector<Figure>& figures) {
  const std::string band = runs[0].bands.empty() ? "" : runs[0].bands[0].name;
  const std::string of = band.empty() ? "" : ", " + shortened(band, kLabelChars);
  struct Wanted {
    std::string band, key, title;
  };
  std::string out;
  for (const Wanted& wanted :
       {Wanted{band, "wait_p99_s", "p99 wait" + of}, Wanted{band, "ttft_p99_s", "p99 TTFT" + of},
        Wanted{"", "regret_mean_s", "mean regret"},
        Wanted{"", "tokens_per_s", "throughput, tokens/s"}}) {
    const Figure* figure = find(figures, wanted.band, wanted.key);
    if (figure != nullptr) out += tile(runs, wanted.title, *figure);
  }
  return "<div class=\"tiles\">\n" + out + "</div>\n";
}

// What was simulated: a row a property; one cell where all runs agree.
std::string setup(const Runs& runs) {
  std::string out = "<div class=\"scroll\"><table class=\"setup\">\n";
  const auto row = [&](const char* name, const std::function<std::string(const RunResult&)>& read) {
    std::vector<std::string> texts;
    for (const RunResult& run : runs) texts.push_back(read(run));
    const bool same = std::all_of(texts.begin(), texts.end(),
                                  [&](const std::string& text) { return text == texts[0]; });
    out += fmt::format("<tr><th scope=\"row\">{}</th>", name);
    if (same) {
      out += fmt::format("<td colspan=\"{}\">{}</td>", texts.size(), escaped(texts[0]));
    } else {
      for (const std::string& text : texts) out += "<td>" + escaped(text) + "</td>";
    }
    out += "</tr>\n";
  };
  if (runs.size() > 1) {
    out += "<tr><td></td>";
    for (size_t i = 0; i < runs.size(); ++i) {
      out += "<td>" + legend_item(fmt::format("r{}", i), shortened(runs[i].label, kLabelChars)) +
             "</td>";
    }
    out += "</tr>\n";
  }
  row("configuration", [](const RunResult& run) { return run.config; });
  row("routing", [](const RunResult& run) {
    return std::string(run.direct ? "direct, no central queue" : "central queue");
  });
  row("trace", [](const RunResult& run) { return run.trace; });
  row("servers", [](const RunResult& run) {
    return fmt::format("{} ({} used)", run.servers, run.servers_used.size());
  });
  row("offered load", [](const RunResult& run) {
    return fmt::format("{}, {:.2f} requests/s",
                       with_unit(Unit::kTokensPerSecond, run.offered_tokens_per_s),
                       run.offered_requests_per_s);
  });
  row("requests",
      [](const RunResult& run) { return grouped(static_cast<double>(run.all.requests)); });
  row("measured", [](const RunResult& run) {
    return fmt::format("from {:.0f} s to {:.0f} s of {:.0f} s simulated", run.window_from_s,
                       run.window_to_s, run.simulated_s);
  });
  row("SLO", [](const RunResult& run) {
    return fmt::format("TTFT {}, inter-token time {}", with_unit(Unit::kSeconds, run.slo_ttft_s),
                       with_unit(Unit::kSeconds, run.slo_itl_s));
  });
  row("seed", [](const RunResult& run) { return std::to_string(run.seed); });
  row("hash of decisions", [](const RunResult& run) { return fmt::format("{:016x}", run.hash); });
  row("computing time", [](const RunResult& run) { return fmt::format("{:.1f} s", run.cpu_s); });
  return out + "</table></div>\n";
}

std::string figures_table(const Runs& runs, const std::vector<Figure>& figures) {
  std::string out = "<div class=\"scroll\"><table class=\"figures\">\n<thead><tr><th></th>";
  for (size_t i = 0; i < runs.size(); ++i) {
    out += "<th scope=\"col\">" +
           legend_item(fmt::format("r{}", i), shortened(runs[i].label, kLabelChars)) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  std::string band;
  for (const Figure& figure : figures) {
    if (figure.band != band) {
      band = figure.band;
      out += fmt::format("<tr class=\"band\"><th colspan=\"{}\" scope=\"rowgroup\">{}</th></tr>\n",
                         runs.size() + 1, escaped(shortened(band, kLabelChars)));
    }
    out += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(figure.name));
    const std::vector<std::string> texts = cells(figure);
    for (size_t i = 0; i < runs.size(); ++i) {
      const char* css = i == 0 ? "" : css_of(standing(figure, i));
      out += fmt::format("<td class=\"{}\">{}{}</td>", css, texts[i],
                         *css != '\0' ? fmt::format(" <small>{}</small>", css) : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

constexpr const char* kDefinitions = R"(<dl>
<dt>TTFT</dt><dd>From the arrival of a request to its first token.</dd>
<dt>Wait</dt><dd>TTFT less the time that its own prefill takes alone on an idle server.</dd>
<dt>ITL</dt><dd>The mean time between two tokens of a request.</dd>
<dt>Regret</dt><dd>Wait in the server's own queue, and time parked while an eligible server had
room, beyond the least wait that any eligible server would have given this request.</dd>
<dt>Fairness gap</dt><dd>The most that the service of two tenants drifted apart while both had
requests waiting. Service is prompt and twice the output, or as [cost] weighs them.</dd>
<dt>Jain index</dt><dd>Of service over weight, of tenants that waited most of the time; 1 is
even.</dd>
<dt>Idle while waiting</dt><dd>Server seconds without work while work waited that the server may
do.</dd>
</dl>
)";

}  // namespace

std::string section(const std::string& id, const std::string& heading, const std::string& about,
                    const std::string& content) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", id, escaped(heading),
                     about.empty() ? "" : "<p class=\"about\">" + escaped(about) + "</p>\n",
                     content);
}

std::string figure(const std::string& caption, const std::string& picture) {
  return "<figure><figcaption>" + caption + "</figcaption>\n" + picture + "</figure>\n";
}

std::string legend_item(const std::string& css, const std::string& name) {
  const bool is_line = css[0] == 'r' || css[0] == 'c';
  return fmt::format(
      "<span class=\"item\"><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 22 12\" "
      "class=\"key\" aria-hidden=\"true\">{}</svg>{}</span>",
      is_line ? fmt::format("<path class=\"l {}\" d=\"M1 6H21\"/>", css)
              : fmt::format("<rect class=\"a {}\" x=\"4\" width=\"14\" height=\"12\"/>", css),
      escaped(name));
}

std::string run_caption(const RunResult& run) { return "<b>" + label(run) + "</b>"; }

std::string run_legend(const Runs& runs) {
  std::string out = "<p class=\"legend\">";
  for (size_t i = 0; i < runs.size(); ++i) {
    out += legend_item(fmt::format("r{}", i), shortened(runs[i].label, kLabelChars));
  }
  return out + "</p>\n";
}

std::string report_html(const std::vector<RunResult>& all) {
  const Runs runs(all.begin(), all.begin() + static_cast<long>(std::min(all.size(), kRunsMax)));
  const std::vector<Figure> figures = figures_of(runs);
  std::string title = "Sluice simulation";
  for (const RunResult& run : runs) title += (&run == &runs[0] ? ": " : ", ") + label(run);

  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  out += "<title>" + title + "</title>\n<style>" + kReportStyle + "</style>\n</head>\n<body>\n";
  out += kReportPatterns;
  out += "<header>\n<p class=\"eyebrow\">sluice simulate</p>\n<h1>" + headline(runs, figures) +
         "</h1>\n";
  if (all.size() > runs.size()) {
    out += fmt::format(
        "<p class=\"about\">The first {} of {} runs; the others are in "
        "summary.json.</p>\n",
        runs.size(), all.size());
  }
  if (!runs.empty()) {
    // Of many runs the bars say it sooner.
    const std::string words = verdicts(runs, figures), bars = tiles(runs, figures);
    out += (runs.size() > 2 ? bars + words : words + bars) + "</header>\n<main>\n";
    out += section("setup", "What was simulated", "", setup(runs));
    out += latency_charts(runs) + queue_charts(runs) + server_charts(runs) + service_charts(runs) +
           regret_charts(runs);
    out += section("figures", "All figures", "", figures_table(runs, figures));
    out += section("words", "What the words mean", "", kDefinitions);
    out += "</main>\n";
  } else {
    out += "</header>\n";
  }
  return out + "</body>\n</html>\n";
}

}  // namespace sluice::simulate
