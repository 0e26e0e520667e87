// One axis of a picture: where a value stands, and where to write what.
//
// Values beyond an end stand at that end. Ticks are round numbers with their units.
// Threads: any; a plain value.
#pragma once

#include <string>
#include <vector>

namespace sluice::simulate {

struct Tick {
  double value = 0;
  std::string text;
};

class Axis {
 public:
  // 0 to HIGH or the round number above it.
  static Axis amounts(double high);
  // Simulated time from 0 to HIGH seconds.
  static Axis time(double high_s);
  // Durations on a logarithmic scale, from LOW to HIGH seconds or the round numbers around them.
  static Axis durations(double low_s, double high_s);
  // Shares from 0 to 99.9 %, each further nine as wide as the one before: tails take two thirds.
  static Axis nines();

  double place(double value) const;  // 0 .. 1
  const std::vector<Tick>& ticks() const { return ticks_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  enum class Kind { kLinear, kLog, kNines };
  Axis(Kind kind, double low, double high) : kind_(kind), low_(low), high_(high) {}

  Kind kind_;
  double low_, high_;
  std::vector<Tick> ticks_;
};

// 1500 as "1.5k".
std::string short_number(double value);

}  // namespace sluice::simulate
