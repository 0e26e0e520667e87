// The running host: engine, pool, proxy and admin server wired together, from start through reloads
// to drain.
//
// Threads: constructed, run and destroyed on one thread, which becomes the control thread: scrapes,
// admin, timers, reloads and signals all happen there. The proxy has its own threads; the engine is
// behind the scheduler's lock. Life: start -> run until drained. SIGHUP reloads, SIGTERM and SIGINT
// drain, a second one ends at once.
#pragma once

#include <filesystem>

namespace sluice {

struct ServeOptions {
  std::filesystem::path config;
  unsigned threads = 0;  // of the proxy; 0 = one for each core, at most 8
};

// Serves until a signal drains it; an exit code of host/exit_codes.h.
int serve(const ServeOptions& options);

}  // namespace sluice
