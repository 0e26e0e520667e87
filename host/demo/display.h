// What the demo shows while it runs and at its end: on a terminal a picture redrawn in place,
// elsewhere plain lines.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "host/demo/load.h"
#include "host/demo/scenario.h"

namespace sluice::demo {

class Display {
 public:
  Display(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}

  void line(const std::string& text);
  void progress(const std::string& what, const LoadProgress& progress);
  void clear();  // takes the picture away; the next one starts anew

 private:
  std::FILE* out_;
  bool terminal_;
  size_t drawn_ = 0;    // lines of the picture that stands
  double said_at_ = 0;  // seconds, of the last plain line
};

// Both loads side by side, a line a group.
std::string render_table(const Part& part, const PartResult& result);
std::string render_promises(const std::vector<Promise>& promises);
// Everything, for machines: RUNS[r][p] is part p of run r.
std::string render_json(const Scenario& scenario, const std::vector<std::vector<PartResult>>& runs,
                        const std::vector<PartResult>& medians,
                        const std::vector<Promise>& promises);

}  // namespace sluice::demo
