#include "host/simulate/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::simulate {
namespace {

constexpr size_t kClausesMax = 4;  // of what is worse, and as many of what is better
constexpr size_t kNamesMax = 3;    // of bands in one sentence
constexpr std::string_view kThroughput = "tokens_per_s";

std::string named(const Figure& figure) {
  return figure.band.empty() ? figure.spoken : figure.band + " " + figure.spoken;
}

// Throughput and shares are lower or higher; latencies are worse or better.
const char* direction(const Figure& figure, double more) {
  if (figure.better == Better::kMore) return more > 0 ? "higher" : "lower";
  return more > 0 ? "worse" : "better";
}

// "3.1 times worse", "12 % worse".
std::string difference(const Figure& figure, size_t run) {
  const double first = *figure.values[0], value = *figure.values[run];
  const char* way = direction(figure, value - first);
  const double low = std::min(first, value), high = std::max(first, value);
  if (low > 0 && high / low >= 2 && figure.unit != Unit::kShare) {
    const double times = high / low;
    return fmt::format("{} times {}",
                       times < 10 ? fmt::format("{:.1f}", times) : grouped(std::round(times)), way);
  }
  if (figure.unit == Unit::kShare) return fmt::format("{:.1f} points {}", (high - low) * 100, way);
  if (first == 0) return way;
  const double percent = std::abs(value / first - 1) * 100;
  return fmt::format("{:.{}f} % {}", percent, percent < 9.95 ? 1 : 0, way);
}

std::string clause(const Figure& figure, size_t run) {
  const std::vector<std::string> both =
      cells({.unit = figure.unit, .values = {figure.values[0], figure.values[run]}});
  return fmt::format("{} {} ({} to {})", named(figure), difference(figure, run), both[0], both[1]);
}

std::string throughput_clause(const Figure& figure, size_t run) {
  const double first = *figure.values[0], value = *figure.values[run];
  if (first == 0 || std::abs(value / first - 1) < 0.0005) return "throughput the same";
  return "throughput " + difference(figure, run);
}

std::string list(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesMax);
  std::string out;
  for (size_t i = 0; i < shown; ++i) {
    const bool is_last = i + 1 == names.size();
    out += (i == 0 ? "" : is_last ? " and " : ", ") + names[i];
  }
  return shown == names.size() ? out : fmt::format("{} and {} more", out, names.size() - shown);
}

// What is worse, or better, of one run.
class Side {
 public:
  explicit Side(const char* way) : way_(way) {}

  void add(const Figure& figure, size_t run) {
    keys.push_back(figure.band.empty() ? figure.key : figure.band + "." + figure.key);
    std::vector<std::string>& names = figure.band.empty() ? of_all_ : bands_;
    const std::string& name = figure.band.empty() ? figure.spoken : figure.band;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    if (figure.key == kThroughput) {
      throughput_ = true;
    } else {
      clauses_.push_back(clause(figure, run));
    }
  }
  std::vector<std::string> clauses() const {
    std::vector<std::string> out = clauses_;
    if (out.size() <= kClausesMax) return out;
    const size_t more = out.size() - kClausesMax;
    out.resize(kClausesMax);
    out.push_back(fmt::format("{} more figure{} {}", more, more == 1 ? "" : "s", way_));
    return out;
  }
  // Bands and throughput; other things only where they are all there is.
  std::string where() const {
    if (bands_.empty()) return of_all_.empty() ? "" : "in " + list(of_all_);
    return "for " + list(bands_) + (throughput_ ? " and in throughput" : "");
  }

  std::vector<std::string> keys;

 private:
  const char* way_;
  std::vector<std::string> clauses_, bands_, of_all_;
  bool throughput_ = false;
};

}  // namespace

Verdict verdict(const std::vector<Figure>& figures, size_t run) {
  Side worse("worse"), better("better");
  Verdict verdict;
  const auto look_at = [&](const Figure& figure, bool minor) {
    const Standing stands = standing(figure, run);
    if (figure.minor != minor || figure.key.empty() || stands == Standing::kUnknown) return;
    if (figure.key == kThroughput) verdict.throughput = throughput_clause(figure, run);
    if (stands != Standing::kSame) (stands == Standing::kWorse ? worse : better).add(figure, run);
  };
  // People come for the bands; what all requests have in common comes after them.
  for (const bool minor : {false, true}) {
    for (const bool of_all : {false, true}) {
      for (const Figure& figure : figures) {
        if (figure.band.empty() == of_all) look_at(figure, minor);
      }
    }
  }
  verdict.word = worse.keys.empty()
                     ? better.keys.empty() ? Verdict::Word::kSame : Verdict::Word::kBetter
                 : better.keys.empty() ? Verdict::Word::kWorse
                                       : Verdict::Word::kMixed;
  verdict.worse = worse.clauses();
  verdict.better = better.clauses();
  verdict.where_worse = worse.where();
  verdict.where_better = better.where();
  verdict.keys_worse = std::move(worse.keys);
  verdict.keys_better = std::move(better.keys);
  return verdict;
}

const char* to_string(Verdict::Word word) {
  switch (word) {
    case Verdict::Word::kSame:
      return "same";
    case Verdict::Word::kBetter:
      return "better";
    case Verdict::Word::kWorse:
      return "worse";
    case Verdict::Word::kMixed:
      break;
  }
  return "mixed";
}

std::string against(const Verdict& verdict, const std::string& first) {
  switch (verdict.word) {
    case Verdict::Word::kSame:
      return "neither better nor worse than " + first;
    case Verdict::Word::kBetter:
      return fmt::format("BETTER than {} {}", first, verdict.where_better);
    case Verdict::Word::kWorse:
      return fmt::format("WORSE than {} {}", first, verdict.where_worse);
    case Verdict::Word::kMixed:
      break;
  }
  return fmt::format("WORSE than {} {}, BETTER {}", first, verdict.where_worse,
                     verdict.where_better);
}

}  // namespace sluice::simulate
