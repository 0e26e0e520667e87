// The round trip as a transport has it: through the scheduler's lock, decided by callback.

#include <benchmark/benchmark.h>

#include "host/scheduler/scheduler.h"
#include "tests/bench/bench_engine.h"

namespace sluice::bench {
namespace {

struct Transport {
  std::vector<RequestId> dispatched;
  size_t next = 0;
};

class Caller : public Waiter {
 public:
  explicit Caller(Transport& transport) : transport_(transport) {}
  void on_decision(const Decision& decision) override {
    if (decision.kind == Decision::Kind::kDispatch) transport_.dispatched.push_back(decision.id);
  }

 private:
  Transport& transport_;
};

void scheduler_round_trip(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  Transport transport;
  auto engine = Engine::create(plain_pipeline(), 1, Scheduler::now());
  Scheduler scheduler(std::move(*engine), nullptr);
  scheduler.with_engine([](Engine& e, TimeNs now) {
    e.set_class(now, 0, {0});
    e.set_endpoint(now, 0, 32, true);
  });
  std::vector<std::string> names;
  for (uint32_t i = 0; i < flows; ++i) names.push_back("model|tenant-" + std::to_string(i));
  uint32_t flow = 0;
  const auto submit = [&] {
    flow = (flow + 1) % flows;
    scheduler.submit({.flow = names[flow],
                      .flow_hash = flow + 1,
                      .bytes = 1000,
                      .prompt_tokens = 200,
                      .output_expected = 50},
                     std::make_shared<Caller>(transport));
  };
  for (uint32_t i = 0; i < 32 + 2 * flows; ++i) submit();
  for (auto _ : state) {
    scheduler.complete(transport.dispatched[transport.next++], {});
    submit();
    if (transport.next == 4096) {
      transport.dispatched.erase(transport.dispatched.begin(), transport.dispatched.begin() + 4096);
      transport.next = 0;
    }
  }
  state.SetItemsProcessed(state.iterations());
  scheduler.with_engine([](Engine& e, TimeNs now) { e.drain_now(now); });
}
BENCHMARK(scheduler_round_trip)->ArgName("flows")->Arg(10)->Arg(5000);

}  // namespace
}  // namespace sluice::bench
