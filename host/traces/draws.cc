#include "host/traces/draws.h"

#include <cmath>

namespace sluice::traces {
namespace {

// In (0, 1]: fit for a logarithm.
double above_zero(Random& random) { return 1.0 - random.unit(); }

// Of shape SHAPE >= 1 and scale 1.
double gamma_of_shape(Random& random, double shape) {
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {  // accepts more than 95 of 100
    const double x = draw_normal(random);
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(above_zero(random)) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

double draw_exponential(Random& random) { return -std::log(above_zero(random)); }

double draw_normal(Random& random) {
  constexpr double kTurn = 6.283185307179586;
  const double radius = std::sqrt(2 * draw_exponential(random));  // Box and Muller
  return radius * std::cos(kTurn * random.unit());
}

double draw_gamma(Random& random, double cv) {
  const double shape = 1 / (cv * cv);
  if (shape >= 1) return gamma_of_shape(random, shape) / shape;
  const double larger = gamma_of_shape(random, shape + 1);
  return larger * std::pow(above_zero(random), 1 / shape) / shape;
}

double draw_log_normal(Random& random, double cv) {
  const double variance = std::log1p(cv * cv);
  return std::exp(std::sqrt(variance) * draw_normal(random) - variance / 2);
}

}  // namespace sluice::traces
