// What the decision log costs the engine, and its checker a record.

#include <benchmark/benchmark.h>

#include "core/decision_checker.h"
#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

// Formats as a file would, and keeps the last megabyte.
class Formatter : public DecisionLog {
 public:
  void write(const LogRecord& record) override {
    if (text_.size() > 1 << 20) text_.clear();
    format_line(record, text_);
    text_ += '\n';
    ++records_;
  }
  uint64_t records() const { return records_; }

 private:
  std::string text_;
  uint64_t records_ = 0;
};

void log_format(benchmark::State& state) {
  BenchEngine bench(plain_pipeline(), {.flows = 64, .parked = 1000});
  Formatter log;
  bench.engine().set_log(bench.now(), &log);
  for (auto _ : state) bench.turn();
  state.SetItemsProcessed(static_cast<int64_t>(log.records()));
}
BENCHMARK(log_format);

class Keeper : public DecisionLog {
 public:
  void write(const LogRecord& record) override { format_line(record, lines.emplace_back()); }
  std::vector<std::string> lines;
};

// A log of an engine that was under load all the time, three bands with 1,000 parked.
void log_check(benchmark::State& state) {
  Keeper log;
  log.lines.push_back("sluice-decision-log 1");
  BenchEngine bench(plain_pipeline(), {.flows = 64, .bands = 3, .parked = 1000}, &log);
  for (int i = 0; i < 20'000; ++i) bench.turn();
  for (auto _ : state) {
    DecisionChecker checker;
    for (const std::string& line : log.lines) checker.read_line(line);
    if (!checker.report().ok()) state.SkipWithError("a good log was found bad");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(log.lines.size()));
}
BENCHMARK(log_check)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::bench
