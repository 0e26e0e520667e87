// Goes over an answer on its way to the client: reads its token usage, counts its events, and gives
// the model its incoming name back.
//
// Takes JSON bodies and server-sent events in chunks cut anywhere; any cutting gives the same bytes
// and counts. An answer that needs no change passes byte for byte. Threads: one at a time. Memory:
// constant; it holds back at most a model's name, or kEventHeldMax of one event where the usage
// event is to be dropped. Complexity: O(1) a byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/request/json_scan.h"

namespace sluice {

inline constexpr size_t kEventHeldMax = size_t{64} << 10;

class UsageReader {
 public:
  struct Options {
    bool sse = false;              // text/event-stream, else one JSON text
    std::string incoming, target;  // names of the model; the same = no renaming
    bool drop_usage_event =
        false;  // sse: the event with usage and no choices was not asked for by the client
    bool only_deltas = false;  // sse: of the Responses API, where output comes in events of `type`
                               // "*.delta", among many others
  };
  explicit UsageReader(Options options);

  // Reads CHUNK and appends what may go to the client by now to OUT.
  void feed(std::string_view chunk, std::string& out);
  // The same where passes_through(), for one who sends CHUNK on by himself.
  void observe(std::string_view chunk) { run(chunk, nullptr); }
  // The answer is over: appends what was held back.
  void finish(std::string& out);

  // True if feed() appends exactly CHUNK each time.
  bool passes_through() const { return !renames_ && !options_.drop_usage_event; }

  const TokenUsage& usage() const { return usage_; }
  // Events that carry output so far; a server sends one token in each, or a few.
  uint32_t data_events() const { return data_events_; }

 private:
  enum class Line : uint8_t { kStart, kData, kOther };  // where in a line of server-sent events

  void run(std::string_view chunk, std::string* out);
  size_t skip(std::string_view text) const;
  void sse_byte(char c, JsonScan::Place& place);
  void end_event(std::string* out);
  void emit(std::string_view text, std::string* out);
  void close_name(std::string* out);

  Options options_;
  bool renames_;
  std::string new_name_;  // the incoming name inside a JSON string
  size_t name_max_;       // longest spelling of the target's name
  JsonScan scan_;
  TokenUsage usage_;
  uint32_t data_events_ = 0;

  std::string name_;  // of the model, held back until it is whole
  bool name_open_ = false;

  Line line_ = Line::kStart;
  size_t matched_ = 0;       // bytes of "data:" at the start of this line
  bool line_blank_ = true;   // nothing in this line but a carriage return
  bool event_over_ = false;  // the byte just read was the end of a blank line
  std::string held_;         // this event so far, where it may be dropped
  bool holding_;
};

}  // namespace sluice
