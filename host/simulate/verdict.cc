#include "host/simulate/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::simulate {
namespace {

constexpr size_t kClausesMax = 4;  // of what is worse, and as many of what is better
constexpr std::string_view kThroughput = "tokens_per_s";

std::string named(const Figure& figure) {
  return figure.band.empty() ? figure.spoken : figure.band + " " + figure.spoken;
}

std::string key_of(const Figure& figure) {
  return figure.band.empty() ? figure.key : figure.band + "." + figure.key;
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

}  // namespace

Verdict verdict(const std::vector<Figure>& figures, size_t run) {
  Verdict verdict;
  std::vector<std::string> worse, better;
  const Figure* throughput = nullptr;
  const auto look_at = [&](const Figure& figure, bool minor) {
    if (figure.minor != minor) return;
    const Standing stands = standing(figure, run);
    if (figure.key.empty() || stands == Standing::kUnknown) return;
    const bool is_throughput = figure.key == kThroughput;
    if (is_throughput) throughput = &figure;
    if (stands == Standing::kSame) return;
    const bool is_worse = stands == Standing::kWorse;
    (is_worse ? verdict.keys_worse : verdict.keys_better).push_back(key_of(figure));
    if (!is_throughput) (is_worse ? worse : better).push_back(clause(figure, run));
  };
  // People come for the bands; what all requests have in common comes after them.
  for (const bool minor : {false, true}) {
    for (const bool of_all : {false, true}) {
      for (const Figure& figure : figures) {
        if (figure.band.empty() == of_all) look_at(figure, minor);
      }
    }
  }
  const bool is_worse = !verdict.keys_worse.empty(), is_better = !verdict.keys_better.empty();
  verdict.word = is_worse && is_better ? Verdict::Word::kMixed
                 : is_worse            ? Verdict::Word::kWorse
                 : is_better           ? Verdict::Word::kBetter
                                       : Verdict::Word::kSame;
  for (const auto* clauses : {&worse, &better}) {
    const size_t shown = std::min(clauses->size(), kClausesMax);
    verdict.clauses.insert(verdict.clauses.end(), clauses->begin(), clauses->begin() + shown);
    if (clauses->size() > shown) {
      verdict.clauses.push_back(fmt::format("{} more figure{} {}", clauses->size() - shown,
                                            clauses->size() - shown == 1 ? "" : "s",
                                            clauses == &worse ? "worse" : "better"));
    }
  }
  if (throughput != nullptr) verdict.clauses.push_back(throughput_clause(*throughput, run));
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
  const size_t worse = verdict.keys_worse.size(), better = verdict.keys_better.size();
  const auto figures = [](size_t n) { return fmt::format("in {} figure{}", n, n == 1 ? "" : "s"); };
  switch (verdict.word) {
    case Verdict::Word::kSame:
      return "neither better nor worse than " + first;
    case Verdict::Word::kBetter:
      return fmt::format("BETTER than {} {}", first, figures(better));
    case Verdict::Word::kWorse:
      return fmt::format("WORSE than {} {}", first, figures(worse));
    case Verdict::Word::kMixed:
      break;
  }
  return fmt::format("WORSE than {} {}, BETTER in {}", first, figures(worse), better);
}

}  // namespace sluice::simulate
