// The least that a reverse proxy can be: Beast coroutines that read a request, send it on over a
// kept connection and bring the answer back. It chooses nothing, queues nothing, checks nothing and
// times nothing out; what Sluice costs is compared with it.
//
// Threads: run_bare_forwarder() is the caller's thread, until the process ends.
#pragma once

#include <cstdint>

namespace sluice::bench {

// Says `listening on 127.0.0.1:PORT` on standard output.
int run_bare_forwarder(uint16_t upstream_port);

}  // namespace sluice::bench
