// What a request of a model will probably cost, learnt from what earlier ones did.
//
// Per model: bytes of prompt for each token, the 75th percentile of its recent outputs, output
// tokens for each event of a stream, and how long an answer of a length takes: a line through what
// was seen, so that the time to the first token is told from the time between tokens. A model that
// has not been heard of starts at 4 bytes a token, 256 tokens of output and one token an event.
// Threads: as the engine. Complexity: O(1), learn() amortised. Memory: 1 KiB a model, for the first
// kModelsEstimatedMax of them; those beyond share one.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "core/limits.h"
#include "core/types.h"

namespace sluice {

class Estimates {
 public:
  uint32_t prompt_tokens(uint64_t model, uint64_t bytes) const;
  // Of PREFIX_TOKENS that an endpoint has seen before, those that its server probably had no work
  // with: in proportion to what servers have said, 0 before they did.
  uint32_t cached_tokens(uint64_t model, uint32_t prefix_tokens) const;
  // Of all CHOICES together (0 = no output is asked for); OUTPUT_MAX bounds each (0 = not given).
  uint32_t output_tokens(uint64_t model, uint32_t output_max, uint32_t choices) const;
  // Of a stream that has sent EVENTS and has not said its usage.
  uint32_t tokens_of_events(uint64_t model, uint32_t events) const;
  // What a server may have made of an answer that nobody saw, ELAPSED after the request was sent: 0
  // before its first token is due, and each choice no longer than OUTPUT_MAX (0 = not given) or the
  // model's longest recent output.
  uint32_t tokens_of_time(uint64_t model, TimeNs elapsed, uint32_t output_max,
                          uint32_t choices) const;

  // A request that was answered in full and said its usage.
  struct Sample {
    uint64_t prompt_bytes = 0;  // 0 = not known
    uint32_t prompt_tokens = 0, output_tokens = 0, choices = 1;
    uint32_t prefix_tokens = 0, cached_tokens = 0;  // seen before; said to have been cached
    uint32_t events = 0;                            // 0 = no stream, or not counted
    TimeNs elapsed = 0;                             // from dispatch to the end
  };
  void learn(uint64_t model, const Sample& sample);

 private:
  // A ratio of two sums in which a sample counts for less the older it is.
  struct Ratio {
    double above, below;
    void add(double a, double b) {
      above += a - above / kSamplesKept;
      below += b - below / kSamplesKept;
    }
    double value() const { return above / below; }
  };
  static constexpr double kSamplesKept = 256;
  // The line of least squares through (tokens, ns), the older the lighter.
  struct Pace {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    void add(double tokens, double ns);
    double tokens_after(double ns) const;  // 0 = none, or nothing is known
  };
  struct Model {
    Ratio bytes_per_token{400, 100};
    Ratio tokens_per_event{100, 100};
    Ratio cached_of_prefix{0, 1};
    Pace pace;
    std::array<uint32_t, 256> outputs{};
    uint32_t seen = 0;  // outputs, ever
    uint32_t p75 = 256;
  };
  const Model& find(uint64_t model) const;

  std::unordered_map<uint64_t, Model> models_;
  Model others_;
};

}  // namespace sluice
