// One picture of report.html: a frame with two axes, and lines, areas and remarks in it, as SVG.
//
// Colours are CSS classes of report_style.h, so that one picture serves light, dark and paper. What
// is drawn first lies below. A line has at most kPointsMax points however many it is given.
// Threads: one. Units: points are values of the axes. Complexity: O(points).
#pragma once

#include <string>
#include <vector>

#include "host/simulate/axis.h"

namespace sluice::simulate {

inline constexpr size_t kPointsMax = 300;

struct Point {
  double x = 0, y = 0;
};

struct Frame {
  double width = 370, height = 250;
  double left = 50, right = 14, top = 24, bottom = 42;
};

class Panel {
 public:
  // LABEL says to those who cannot see it what the picture shows.
  Panel(Frame frame, Axis x, Axis y, std::string label, std::string x_title, std::string y_title);

  // Through POINTS, whose x never falls.
  void line(const std::vector<Point>& points, const std::string& css);
  // As a distribution rises: level up to a point's x, then up to its y. Neither ever falls.
  void steps(const std::vector<Point>& points, const std::string& css);
  // Between two lines with the same x.
  void area(const std::vector<Point>& lower, const std::vector<Point>& upper,
            const std::string& css);
  // A stretch of x that does not count.
  void shade(double from, double to);
  // In the middle, where there is nothing to draw.
  void remark(const std::string& text);

  std::string svg() const;

 private:
  double x(double value) const;
  double y(double value) const;
  std::string grid() const;

  Frame frame_;
  Axis x_, y_;
  std::string label_, x_title_, y_title_;
  std::string below_, body_;
};

// One element of text at X, Y; TEXT is escaped here.
std::string svg_text(double x, double y, const std::string& css, const std::string& text);
// The beginning of an SVG element that says what it shows.
std::string svg_begin(double width, double height, const std::string& label);
// The ticks of an axis of time along the bottom of FRAME.
std::string svg_x_ticks(const Frame& frame, const Axis& axis);

}  // namespace sluice::simulate
