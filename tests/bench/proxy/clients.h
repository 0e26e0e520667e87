// The clients of the proxy benchmarks: requests of a given body size, as fast as answers come or at
// a given rate, each on a kept connection.
//
// Threads: the caller's. An answer that is not a 200 ends the program: nothing else is worth
// timing.
#pragma once

#include <cstdint>
#include <vector>

namespace sluice::bench {

struct Timed {
  double seconds = 0;
  std::vector<double> latency_ms;  // of each request
};

// CLIENTS keep one request each under way until COUNT have been answered.
Timed closed_loop(uint16_t port, uint32_t clients, uint32_t count, uint32_t body_bytes);
// One request every 1 / RATE seconds, whatever the answers do, COUNT of them.
Timed open_loop(uint16_t port, double rate, uint32_t count, uint32_t body_bytes);

}  // namespace sluice::bench
