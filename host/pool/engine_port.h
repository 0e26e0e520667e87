// The part of the engine that the pool speaks to, so that the pool can be tested without one.
//
// Threads: [any]; each call is one turn of the engine. Meanings: core/engine.h.
#pragma once

#include <vector>

#include "host/scheduler/scheduler.h"

namespace sluice {

class EnginePort {
 public:
  virtual ~EnginePort() = default;
  virtual void set_endpoint(uint32_t slot, const EndpointLimits& limits, bool up) = 0;
  virtual void remove_endpoint(uint32_t slot) = 0;
  virtual bool endpoint_idle(uint32_t slot) = 0;
  virtual void report_asked(uint32_t slot) = 0;
  virtual void report(uint32_t slot, const EndpointReport& report) = 0;
  virtual void set_class(ClassId id, const std::vector<uint32_t>& members) = 0;
  virtual void reclassify(const Scheduler::ClassOf& class_of) = 0;
};

class SchedulerPort final : public EnginePort {
 public:
  explicit SchedulerPort(Scheduler& scheduler) : scheduler_(scheduler) {}

  void set_endpoint(uint32_t slot, const EndpointLimits& limits, bool up) override {
    scheduler_.with_engine(
        [&](Engine& engine, TimeNs now) { engine.set_endpoint(now, slot, limits, up); });
  }
  void remove_endpoint(uint32_t slot) override {
    scheduler_.with_engine([&](Engine& engine, TimeNs now) { engine.remove_endpoint(now, slot); });
  }
  bool endpoint_idle(uint32_t slot) override {
    return scheduler_.with_engine(
        [&](Engine& engine, TimeNs) { return engine.endpoint_idle(slot); });
  }
  void report_asked(uint32_t slot) override {
    scheduler_.with_engine([&](Engine& engine, TimeNs now) { engine.report_asked(now, slot); });
  }
  void report(uint32_t slot, const EndpointReport& report) override {
    scheduler_.with_engine([&](Engine& engine, TimeNs now) { engine.report(now, slot, report); });
  }
  void set_class(ClassId id, const std::vector<uint32_t>& members) override {
    scheduler_.with_engine([&](Engine& engine, TimeNs now) { engine.set_class(now, id, members); });
  }
  void reclassify(const Scheduler::ClassOf& class_of) override { scheduler_.reclassify(class_of); }

 private:
  Scheduler& scheduler_;
};

}  // namespace sluice
