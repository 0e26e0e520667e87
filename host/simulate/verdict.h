// What a later run is worth against the first, in one word and one sentence.
//
// Worse and better are as figures.h has them. Whatever is worse is said before whatever is better,
// tails before means, the highest band's first, and throughput is always in it.
// Threads: any; plain values.
#pragma once

#include <string>
#include <vector>

#include "host/simulate/figures.h"

namespace sluice::simulate {

struct Verdict {
  enum class Word { kSame, kBetter, kWorse, kMixed };
  Word word = Word::kSame;
  // "critical p99 TTFT 3.1 times worse (0.41 s to 1.27 s)"; the last may be "5 more figures worse".
  std::vector<std::string> worse, better;
  std::string throughput;                            // "throughput 0.4 % lower"
  std::vector<std::string> keys_worse, keys_better;  // "critical.ttft_p99_s"
  // Where it is so: "for critical and default", "in throughput"; "" = nowhere.
  std::string where_worse, where_better;
};

// Of run RUN, which is not the first, in FIGURES of figures_of().
Verdict verdict(const std::vector<Figure>& figures, size_t run);

const char* to_string(Verdict::Word word);  // "worse"
// "WORSE than FIRST for critical and default, BETTER for sheddable".
std::string against(const Verdict& verdict, const std::string& first);

}  // namespace sluice::simulate
