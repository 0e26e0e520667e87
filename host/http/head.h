// The strict half of reading a request's head: where it ends, and whether every reader would read
// it the same way.
//
// Beast parses the head afterwards. It takes what RFC 9112 lets a server refuse (folded lines, two
// Content-Lengths that agree, several Hosts), and whatever two servers could take for two different
// requests is refused here instead. Threads: values. Complexity: one pass over the bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "host/request/errors.h"

namespace sluice {

// Finds the end of a head that comes in pieces, looking at each byte once.
class HeadScan {
 public:
  enum class State : uint8_t { kMore, kDone, kBad };
  // BUFFER holds all bytes since the scan began. kBad: a line does not end in CR LF, or too many
  // empty lines lead.
  State scan(std::string_view buffer);
  size_t begin() const { return begin_; }  // of the request line, behind empty lines
  size_t end() const { return line_; }     // kDone: behind the empty line that ends the head

 private:
  size_t begin_ = 0, line_ = 0, scanned_ = 0;
  size_t empty_lines_ = 0;
};

// Why the head HEAD, request line to empty line, is refused; nothing if it is sound.
std::optional<Refusal> check_head(std::string_view head);

}  // namespace sluice
