#include "host/simulate/html.h"

#include <fmt/format.h>

#include "host/config/text.h"

namespace sluice::simulate {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : config::printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string shortened(std::string_view text, size_t count) {
  size_t at = 0, cut = 0;
  for (size_t n = 0; at < text.size(); ++n) {
    if (n + 1 == count) cut = at;
    if (n == count) return std::string(text.substr(0, cut)) + "\xe2\x80\xa6";
    config::next_character(text, at);
  }
  return std::string(text);
}

std::string coordinate(double value) {
  std::string out = fmt::format("{:.1f}", value);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

}  // namespace sluice::simulate
