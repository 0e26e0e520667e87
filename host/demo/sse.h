// Counts the data events of a server-sent event stream as its bytes come, however they are cut.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::demo {

class SseCounter {
 public:
  void feed(std::string_view bytes);
  uint64_t events() const { return events_; }  // without [DONE]
  bool done() const { return done_; }          // [DONE] was seen
  bool started() const { return events_ != 0 || done_; }

 private:
  void end_line();

  std::string line_;  // the beginning of the current line, as much as tells what it is
  uint64_t events_ = 0;
  bool done_ = false;
};

}  // namespace sluice::demo
