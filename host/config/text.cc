#include "host/config/text.h"

#include <algorithm>
#include <cstdint>

#include "host/config/limits.h"

namespace sluice::config {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Length of the sequence that byte LEAD announces; 0 if it cannot begin one.
size_t announced_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xf0 && lead < 0xf5) return 4;
  return 0;
}

bool is_shown(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead >= 0x20 && lead < 0x7f;
  return lead != 0xc2 || static_cast<unsigned char>(character[1]) >= 0xa0;  // not C1 controls
}

}  // namespace

std::string_view next_character(std::string_view text, size_t& at) {
  const size_t begin = at++;
  const size_t length = announced_length(static_cast<unsigned char>(text[begin]));
  if (length < 2 || begin + length > text.size()) return text.substr(begin, 1);
  for (size_t i = begin + 1; i < begin + length; i++) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return text.substr(begin, 1);
  }
  const auto lead = static_cast<unsigned char>(text[begin]);
  const auto second = static_cast<unsigned char>(text[begin + 1]);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool beyond = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
  if (overlong || beyond) return text.substr(begin, 1);  // beyond: surrogates, above U+10FFFF
  at = begin + length;
  return text.substr(begin, length);
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = next_character(text, at);
    out += is_shown(character) ? character : kReplacement;
  }
  return out;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    if (at >= kQuoteMax) {
      out += "...";
      break;
    }
    const std::string_view character = next_character(text, at);
    out += is_shown(character) ? character : kReplacement;
  }
  return out += '"';
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace sluice::config
