// Where simulated requests come from: a trace file, a generator, or several merged.
//
// A Source gives arrivals in the order of their times and never looks back, so that a trace of any
// length takes the same memory. Only closed loops need to know what became of a request: whoever
// replays them says ended().
// Threads: one. Ownership: an Arrival's views live until the next call. Units: nanoseconds since
// the trace began, tokens. Errors: while replaying, next_at() says kNever and failure() says why.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/types.h"

namespace sluice::traces {

// One request of a trace. What a trace does not tell is empty.
struct Arrival {
  TimeNs at = 0;
  std::string_view flow;       // the first header component of the flow key: the tenant
  std::string_view objective;  // "" = the model's band, or the default one
  std::string_view band;       // by name, drawn by lot; "" = as the objective or the model says
  std::string_view model;      // "" = the first model of the configuration
  uint32_t prompt_tokens = 0;
  uint32_t output_tokens = 0;
  // What its prompt begins with, in whole blocks of 64 tokens: equal n-th hashes mean equal first n
  // blocks.
  std::span<const uint64_t> blocks;
  uint32_t client = kNone;  // of a closed loop: what ended() wants to know
  uint64_t ordinal = 0;     // its place in the trace, from 0, whatever piece is replayed
};

class Source {
 public:
  virtual ~Source() = default;
  // When the next request arrives; kNever = none, unless one that is under way ends.
  virtual TimeNs next_at() = 0;
  // That request. Only while next_at() is not kNever.
  virtual const Arrival& take() = 0;
  // A request of CLIENT is over, whatever its outcome.
  virtual void ended(uint32_t client, TimeNs now) { (void)client, (void)now; }
  // Why it stopped early: file, line and what is wrong; nothing if it did not.
  virtual std::optional<std::string> failure() const { return std::nullopt; }
  // How much of it has been given out, 0 .. 1; for a progress bar.
  virtual double progress() const { return 0; }
};

}  // namespace sluice::traces
