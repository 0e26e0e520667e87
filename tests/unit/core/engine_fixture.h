// A driver for engine tests: a clock, short ways to submit and to read what was decided, and an
// audit after each step.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"

namespace sluice {

class EngineDriver {
 public:
  explicit EngineDriver(Pipeline pipeline, uint64_t seed = 1) {
    auto made = Engine::create(std::move(pipeline), seed, now);
    EXPECT_TRUE(made.ok()) << made.error();
    engine = std::move(*made);
  }
  // An endpoint in a class of its own number and in class 0, which has them all.
  void add_endpoint(uint32_t slot, uint32_t limit) {
    members.push_back(slot);
    engine->set_endpoint(now, slot, limit, true);
    engine->set_class(now, slot + 1, {slot});
    engine->set_class(now, 0, members);
    settle();
  }

  struct Ask {
    std::string flow = "f";
    uint32_t band = 0;
    ClassId eligible = 0;
    uint32_t prompt = 100, output = 50;
    uint64_t bytes = 1000;
    TimeNs wall = kNever;
    uint32_t weight = 1000;
    uint32_t tenant = kNone;
    std::vector<uint64_t> prefix = {};
    uint64_t generation = 0;
    bool streams = false;
  };
  RequestId submit(const Ask& ask) {
    Submission s;
    s.flow = ask.flow;
    s.flow_hash = std::hash<std::string>{}(ask.flow);
    s.band = ask.band;
    s.generation = ask.generation;
    s.eligible = ask.eligible;
    s.prompt_tokens = ask.prompt;
    s.output_expected = ask.output;
    s.bytes = ask.bytes;
    s.wall_deadline_ns = ask.wall;
    s.weight_milli = ask.weight;
    s.tenant = ask.tenant;
    s.prefix = ask.prefix;
    s.streams = ask.streams;
    const RequestId id = engine->submit(now, s);
    ids[id.seq] = id;
    settle();
    return id;
  }
  void progress(RequestId id, uint32_t output_events) {
    engine->progress(now, id, output_events);
    settle();
  }
  void complete(RequestId id, Completion c = {}) {
    EXPECT_TRUE(engine->complete(now, id, c));
    settle();
  }
  void advance(TimeNs by) {
    now += by;
    engine->advance(now);
    settle();
  }
  // Takes over the decisions and audits the engine.
  void settle() {
    for (const Decision& d : engine->decisions()) {
      all.push_back(d);
      if (d.kind == Decision::Kind::kDispatch) {
        dispatched.push_back(d.id.seq);
        where[d.id.seq] = d.endpoint;
      } else if (d.kind == Decision::Kind::kEnd) {
        ended[d.id.seq] = d;
      }
    }
    engine->decisions().clear();
    const auto wrong = engine->audit();
    EXPECT_FALSE(wrong) << *wrong;
  }

  TimeNs now = 1'000'000'000;
  std::unique_ptr<Engine> engine;
  std::vector<uint32_t> members;
  std::vector<Decision> all;
  std::vector<uint64_t> dispatched;  // sequences, in order
  std::map<uint64_t, uint32_t> where;
  std::map<uint64_t, Decision> ended;
  std::map<uint64_t, RequestId> ids;
};

// Three bands: critical, default, sheddable; everything built in, no limit.
inline Pipeline three_bands() {
  Pipeline p;
  for (auto [name, priority] : {std::pair{"critical", 100}, {"default", 0}, {"sheddable", -10}}) {
    BandConfig band;
    band.name = name;
    band.priority = priority;
    p.bands.push_back(band);
  }
  p.default_band = 1;
  return p;
}

}  // namespace sluice
