#include "host/simulate/panel.h"

#include <fmt/format.h>

#include "host/simulate/html.h"

namespace sluice::simulate {
namespace {

constexpr double kTextHeight = 12;

std::string pair(double x, double y) { return coordinate(x) + " " + coordinate(y); }

double inner_width(const Frame& frame) { return frame.width - frame.left - frame.right; }
double inner_height(const Frame& frame) { return frame.height - frame.top - frame.bottom; }

}  // namespace

std::string svg_text(double x, double y, const std::string& css, const std::string& text) {
  return fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\">{}</text>", coordinate(x), coordinate(y),
                     css, escaped(text));
}

std::string svg_begin(double width, double height, const std::string& label) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\"><title>{}</title>\n",
      coordinate(width), coordinate(height), escaped(label), escaped(label));
}

std::string svg_x_ticks(const Frame& frame, const Axis& axis) {
  std::string out;
  const double bottom = frame.height - frame.bottom;
  for (const Tick& tick : axis.ticks()) {
    const double place = axis.place(tick.value);
    const double x = frame.left + place * inner_width(frame);
    out += fmt::format("<path class=\"tick\" d=\"M{}v4\"/>", pair(x, bottom));
    // The last one ends where the frame does.
    const bool at_end = x + 18 > frame.width - frame.right / 2;
    out += svg_text(at_end ? frame.width - 2 : x, bottom + 6 + kTextHeight,
                    at_end ? "t end" : "t mid", tick.text);
  }
  return out + "\n";
}

Panel::Panel(Frame frame, Axis x, Axis y, std::string label, std::string x_title,
             std::string y_title)
    : frame_(frame),
      x_(std::move(x)),
      y_(std::move(y)),
      label_(std::move(label)),
      x_title_(std::move(x_title)),
      y_title_(std::move(y_title)) {}

double Panel::x(double value) const { return frame_.left + x_.place(value) * inner_width(frame_); }

double Panel::y(double value) const {
  return frame_.height - frame_.bottom - y_.place(value) * inner_height(frame_);
}

void Panel::line(const std::vector<Point>& points, const std::string& css) {
  if (points.empty()) return;
  const size_t stride = (points.size() + kPointsMax - 1) / kPointsMax;
  std::string path;
  for (size_t i = 0; i < points.size(); ++i) {
    if (i % stride != 0 && i + 1 != points.size()) continue;
    path += (path.empty() ? "M" : "L") + pair(x(points[i].x), y(points[i].y));
  }
  body_ += fmt::format("<path class=\"l {}\" d=\"{}\"/>\n", css, path);
}

void Panel::steps(const std::vector<Point>& points, const std::string& css) {
  if (points.empty()) return;
  // Both coordinates only grow, so a step of this size bounds how many there are.
  const double step = (inner_width(frame_) + inner_height(frame_)) / (kPointsMax - 2);
  double last_x = x(points[0].x), last_y = y(0);
  std::string path = "M" + pair(last_x, last_y);
  for (size_t i = 0; i < points.size(); ++i) {
    const double to_x = x(points[i].x), to_y = y(points[i].y);
    const bool is_last = i + 1 == points.size() || points[i].y >= y_.high();
    if (!is_last && i != 0 && to_x - last_x + last_y - to_y < step) continue;
    path += fmt::format("H{}V{}", coordinate(to_x), coordinate(to_y));
    last_x = to_x, last_y = to_y;
    if (is_last) break;
  }
  body_ += fmt::format("<path class=\"l {}\" d=\"{}\"/>\n", css, path);
}

void Panel::area(const std::vector<Point>& lower, const std::vector<Point>& upper,
                 const std::string& css) {
  if (lower.empty() || lower.size() != upper.size()) return;
  std::string path;
  for (const Point& point : upper) {
    path += (path.empty() ? "M" : "L") + pair(x(point.x), y(point.y));
  }
  for (size_t i = lower.size(); i-- > 0;) path += "L" + pair(x(lower[i].x), y(lower[i].y));
  body_ += fmt::format("<path class=\"a {}\" d=\"{}Z\"/>\n", css, path);
}

void Panel::shade(double from, double to) {
  if (x(to) - x(from) < 1) return;
  below_ += fmt::format("<rect class=\"shade\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                        coordinate(x(from)), coordinate(frame_.top), coordinate(x(to) - x(from)),
                        coordinate(inner_height(frame_)));
}

void Panel::remark(const std::string& text) {
  body_ += svg_text(frame_.left + inner_width(frame_) / 2, frame_.top + inner_height(frame_) / 2,
                    "t mid", text);
}

std::string Panel::grid() const {
  std::string out;
  for (const Tick& tick : y_.ticks()) {
    out += fmt::format("<path class=\"{}\" d=\"M{}H{}\"/>", tick.value == 0 ? "base" : "grid",
                       pair(frame_.left, y(tick.value)), coordinate(frame_.width - frame_.right));
    out += svg_text(frame_.left - 7, y(tick.value) + 4, "t end", tick.text);
  }
  for (const Tick& tick : x_.ticks()) {
    out += fmt::format("<path class=\"grid\" d=\"M{}V{}\"/>", pair(x(tick.value), frame_.top),
                       coordinate(frame_.height - frame_.bottom));
  }
  return out + "\n" + svg_x_ticks(frame_, x_);
}

std::string Panel::svg() const {
  return svg_begin(frame_.width, frame_.height, label_) + below_ + grid() +
         svg_text(0, kTextHeight - 1, "t", y_title_) +
         svg_text(frame_.left + inner_width(frame_) / 2, frame_.height - 5, "t mid", x_title_) +
         "\n" + body_ + "</svg>\n";
}

}  // namespace sluice::simulate
