#include "host/simulate/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::simulate {
namespace {

constexpr double kNines = 3;             // 99.9 %
constexpr int kAmountSteps = 4;          // at least, between 0 and the end
constexpr int kTimeSteps = 8;            // at most
constexpr double kDurationMinS = 0.001;  // less is shown as this
constexpr double kHighestS = 1e7;

// The largest of 1, 2 or 5 times a power of ten that does not exceed VALUE > 0.
double round_down(double value) {
  const double power = std::pow(10, std::floor(std::log10(value) + 1e-9));
  const double digit = value / power * (1 + 1e-9);
  return power * (digit >= 5 ? 5 : digit >= 2 ? 2 : 1);
}

double round_up(double value) {
  const double below = round_down(value);
  if (below >= value * (1 - 1e-9)) return below;
  const double power = std::pow(10, std::floor(std::log10(below) + 1e-9));
  const double digit = std::round(below / power);
  return power * (digit >= 5 ? 10 : digit >= 2 ? 5 : 2);
}

std::string duration_text(double seconds) {
  if (seconds < 0.9995) return fmt::format("{:g} ms", std::round(seconds * 1e6) / 1e3);
  return fmt::format("{:g} s", std::round(seconds * 1e3) / 1e3);
}

}  // namespace

Axis Axis::amounts(double high) {
  if (!(high > 0) || !std::isfinite(high)) high = 1;
  const double step = round_down(high / kAmountSteps);
  const auto steps = static_cast<int>(std::ceil(high / step - 1e-6));
  Axis axis(Kind::kLinear, 0, step * steps);
  const int each = steps > kAmountSteps + 2 ? 2 : 1;
  for (int i = 0; i <= steps; i += each) axis.ticks_.push_back({step * i, short_number(step * i)});
  return axis;
}

Axis Axis::time(double high_s) {
  if (!(high_s > 0) || !std::isfinite(high_s)) high_s = 1;
  high_s = std::min(high_s, 1e9);
  Axis axis(Kind::kLinear, 0, high_s);
  const double unit = high_s > 3 * 3600 ? 3600 : high_s > 180 ? 60 : 1;
  const char* name = unit == 1 ? "s" : unit == 60 ? "min" : "h";
  double step = round_up(high_s / unit / kTimeSteps);
  for (int i = 0; step * i * unit <= high_s * (1 + 1e-9); ++i) {
    axis.ticks_.push_back({step * i * unit, i == 0 ? "0" : fmt::format("{:g} {}", step * i, name)});
  }
  return axis;
}

Axis Axis::durations(double low_s, double high_s) {
  const double low = round_down(std::clamp(low_s, kDurationMinS, kHighestS));
  const double high = std::max(round_up(std::clamp(high_s, kDurationMinS, kHighestS)), low * 10);
  Axis axis(Kind::kLog, low, high);
  // Up to two decades 1, 2 and 5 are written, beyond that powers of ten alone.
  const bool close = high / low < 101;
  for (double at = low; at < high * (1 + 1e-6); at = round_up(at * 1.01)) {
    const double digit = at / std::pow(10, std::floor(std::log10(at) + 1e-9));
    if (close || digit < 1.5) axis.ticks_.push_back({at, duration_text(at)});
  }
  if (low_s < low * (1 - 1e-9)) axis.ticks_[0].text.insert(0, "\xe2\x89\xa4 ");  // less-or-equal
  return axis;
}

Axis Axis::nines() {
  Axis axis(Kind::kNines, 0, 0.999);
  axis.ticks_ = {{0, "0"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}};
  return axis;
}

double Axis::place(double value) const {
  if (!(value > low_)) return 0;
  if (value >= high_) return 1;
  switch (kind_) {
    case Kind::kLinear:
      return (value - low_) / (high_ - low_);
    case Kind::kLog:
      return std::log(value / low_) / std::log(high_ / low_);
    case Kind::kNines:
      break;
  }
  return -std::log10(1 - value) / kNines;
}

std::string short_number(double value) {
  for (const auto& [size, letter] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (value >= size) return fmt::format("{:.4g}{}", value / size, letter);
  }
  return fmt::format("{:.4g}", value);
}

}  // namespace sluice::simulate
