// A strict reader of the Prometheus text format, for tests: it refuses what a Prometheus server may
// refuse.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice {

struct ExposedFamily {
  std::string type, help;
  std::set<std::string> labels;           // keys seen on any sample, le left out
  std::map<std::string, double> samples;  // by "name{labels}" as written
};

struct Exposed {
  std::map<std::string, ExposedFamily> families;
  std::vector<std::string> errors;  // with the line; empty = valid

  // The value of the sample written exactly so; NaN if there is none.
  double at(const std::string& series) const;
};

Exposed read_exposition(const std::string& text);

}  // namespace sluice
