// Random draws by own arithmetic, so that a seed gives the same numbers with every library.
//
// Threads: one a Random. Complexity: O(1), expected.
#pragma once

#include "core/picker.h"

namespace sluice::traces {

double draw_exponential(Random& random);  // of mean 1
double draw_normal(Random& random);       // of mean 0 and variance 1
// Of mean 1 and coefficient of variation CV > 0. Source: Marsaglia and Tsang, A simple method for
// generating gamma variables, 2000.
double draw_gamma(Random& random, double cv);
// Of mean 1 and coefficient of variation CV >= 0.
double draw_log_normal(Random& random, double cv);

}  // namespace sluice::traces
