#include "host/demo/sse.h"

#include <algorithm>

namespace sluice::demo {
namespace {
constexpr size_t kLineKept = 16;  // enough for "data: [DONE]"
}

void SseCounter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    line_ += part.substr(0, kLineKept - std::min(kLineKept, line_.size()));
    if (end == std::string_view::npos) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void SseCounter::end_line() {
  std::string_view line = line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("data:")) {
    line.remove_prefix(5);
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (line == "[DONE]") {
      done_ = true;
    } else {
      ++events_;
    }
  }
  line_.clear();
}

}  // namespace sluice::demo
