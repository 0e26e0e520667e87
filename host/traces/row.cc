#include "host/traces/row.h"

#include <charconv>

#include "host/traces/limits.h"

namespace sluice::traces {

bool read_tokens(std::string_view text, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= kTokensMax;
}

}  // namespace sluice::traces
