// The figures that runs are compared by: one list, from which the table in the terminal, the one in
// report.html, the verdict and "compared_to_first" in summary.json are made.
//
// A figure has a value for each run, or none where a run has nothing to measure (no request of a
// band was answered, say). Which difference counts is said once, here: more than 5 %, 1 % where
// all the work is counted, and never less than the figure's floor.
// Threads: any; plain values. Units: as Figure::unit says. Complexity: O(runs x bands x bins).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

enum class Unit { kCount, kTokens, kTokensPerSecond, kRequestsPerSecond, kSeconds, kShare, kPlain };
enum class Better { kLess, kMore, kNeither };
enum class Standing { kUnknown, kSame, kBetter, kWorse };

struct Figure {
  std::string band;    // "" = of all requests
  std::string name;    // "TTFT p99"
  std::string spoken;  // "p99 TTFT"
  std::string key;     // "ttft_p99_s": its name in summary.json; "" = only shown
  Unit unit = Unit::kPlain;
  Better better = Better::kNeither;
  double tolerance = 0.05;                    // a ratio within it is no difference
  double floor = 0;                           // nor is a difference of less
  bool minor = false;                         // another figure tells the same story better
  std::vector<std::optional<double>> values;  // one a run
};

// Those of all requests first, then each band's, highest priority first. Bands and runs in the
// order given; a band that only a later run has comes last.
std::vector<Figure> figures_of(const std::vector<RunResult>& runs);

// How run RUN does in FIGURE against the first.
Standing standing(const Figure& figure, size_t run);
// Its value over the first's: 1 if both are 0, nothing if only the first is, or one is missing.
std::optional<double> ratio(const Figure& figure, size_t run);

// The values as text, one a run, with one unit and equally many decimals; "-" where there is none.
std::vector<std::string> cells(const Figure& figure);
// One value with its unit, to three digits: "410 ms", "1.27 s", "8,120 tokens/s", "95.1 %".
std::string with_unit(Unit unit, double value);
// 8120 as "8,120".
std::string grouped(double value);

// What became of all requests of a group, in three words.
uint64_t ended(const Group& group);    // all that are over
uint64_t expired(const Group& group);  // waited in vain
uint64_t refused(const Group& group);  // were turned away, displaced or taken back
// The part of ended requests that was answered with TTFT and inter-token time in bounds.
std::optional<double> slo_attainment(const Group& group);

}  // namespace sluice::simulate
