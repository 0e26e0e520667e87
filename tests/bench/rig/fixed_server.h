// A model server that costs next to nothing: every POST is answered at once with the same
// completion.
//
// It speaks as much HTTP/1.1 as the benchmarks' own clients need: Content-Length bodies over kept
// connections. GET /metrics tells of an idle vLLM, GET /v1/models of one model. From POST /hold to
// POST /release other POSTs are taken, and answered at the end of that.
// Threads: run_fixed_server() is the caller's thread, until the process ends.
#pragma once

namespace sluice::bench {

inline constexpr int kFixedServerAddresses = 4;

// Listens on 127.0.0.1 to 127.0.0.4, on one port, so that it can be several endpoints; says
// `listening on 127.0.0.1:PORT` on standard output.
int run_fixed_server();

}  // namespace sluice::bench
