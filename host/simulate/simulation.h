// One run: a trace, an engine with the policies of a pipeline.toml, and model servers, in virtual
// time.
//
// The engine is the production engine, driven as the host drives it: submissions, decisions,
// progress, completions, and a report of each server's load at every scrape. Servers tell nothing
// in between.
// Threads: one. Deterministic: the same setup, trace and seed give the same decisions, and
// RunResult::hash is theirs. Memory: what is under way, and the measures.
#pragma once

#include <functional>
#include <memory>

#include "core/result.h"
#include "host/simulate/measures.h"
#include "host/simulate/result.h"
#include "host/simulate/setup.h"
#include "host/traces/source.h"

namespace sluice::simulate {

struct RunOptions {
  uint64_t seed = 1;
  // Instead of queueing: every request goes at once to the endpoint that the scorers like best by
  // what was scraped last, as with an endpoint picker that has no queue.
  bool direct = false;
  MeasureOptions measures;
  // Told of every request that is over, in that order.
  std::function<void(const FinishedRequest&)> on_finished;
  std::function<void(double part)> on_progress;
};

// The run to its end: until the trace is over and nothing is under way. An error is the trace's, or
// a policy that cannot make its state.
Result<RunResult> run(const Setup& setup, traces::Source& trace, const RunOptions& options);

}  // namespace sluice::simulate
