#include "host/scheduler/scheduler.h"

#include <atomic>
#include <chrono>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice {

struct Scheduler::Impl {
  std::mutex mutex;
  std::unique_ptr<Engine> engine;
  ArmTimer arm_timer;
  TimeNs due = kNever;                                            // the engine's next deadline
  TimeNs armed_for = kNever;                                      // when the timer comes
  std::unordered_map<uint64_t, std::shared_ptr<Waiter>> waiters;  // by sequence, until the end

  // Decisions, and the timer's new times, leave in the order in which they were made: one thread at
  // a time delivers, the others leave theirs to it.
  struct Delivery {
    std::shared_ptr<Waiter> waiter;
    Decision decision;
  };
  std::vector<Delivery> outbox;
  bool delivering = false;
  std::atomic<bool> draining = false;

  void collect();
  void deliver(std::unique_lock<std::mutex>& lock);
};

// Moves the engine's decisions to the outbox. A waiter is let go with its request's last decision.
void Scheduler::Impl::collect() {
  for (const Decision& decision : engine->decisions()) {
    const auto it = waiters.find(decision.id.seq);
    if (it == waiters.end()) continue;  // its transport has let go of it
    outbox.push_back({it->second, decision});
    if (decision.kind == Decision::Kind::kEnd) waiters.erase(it);
  }
  engine->decisions().clear();
}

void Scheduler::Impl::deliver(std::unique_lock<std::mutex>& lock) {
  if (delivering) return;
  delivering = true;
  std::vector<Delivery> batch;
  while (!outbox.empty() || due < armed_for) {
    batch.clear();
    batch.swap(outbox);
    const TimeNs at = due;
    const bool arm = at < armed_for;
    if (arm) armed_for = at;
    lock.unlock();
    for (const Delivery& d : batch) d.waiter->on_decision(d.decision);
    if (arm && arm_timer) arm_timer(at);
    lock.lock();
  }
  delivering = false;
}

Scheduler::Turn::Turn(Scheduler& scheduler) : scheduler_(scheduler) {
  scheduler_.impl_->mutex.lock();
  now_ = Scheduler::now();
}

Engine* Scheduler::Turn::engine() { return scheduler_.impl_->engine.get(); }

Scheduler::Turn::~Turn() {
  Impl& s = *scheduler_.impl_;
  std::unique_lock lock(s.mutex, std::adopt_lock);
  s.collect();
  s.due = s.engine->next_deadline();
  s.draining.store(s.engine->draining(), std::memory_order_relaxed);
  s.deliver(lock);
}

Scheduler::Scheduler(std::unique_ptr<Engine> engine, ArmTimer arm_timer)
    : impl_(std::make_unique<Impl>()) {
  impl_->engine = std::move(engine);
  impl_->arm_timer = std::move(arm_timer);
}

Scheduler::~Scheduler() = default;

TimeNs Scheduler::now() {
  return static_cast<TimeNs>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch())
                                 .count());
}

RequestId Scheduler::submit(const Submission& submission, std::shared_ptr<Waiter> waiter) {
  Turn turn(*this);
  const RequestId id = turn.engine()->submit(turn.now(), submission);
  // Registered before the decisions of this call are collected; one that has ended already is let
  // go there.
  impl_->waiters.emplace(id.seq, std::move(waiter));
  return id;
}

Engine::Cancel Scheduler::cancel(RequestId id) {
  Turn turn(*this);
  const Engine::Cancel result = turn.engine()->cancel(turn.now(), id);
  if (result != Engine::Cancel::kInFlight) impl_->waiters.erase(id.seq);
  return result;
}

void Scheduler::progress(RequestId id, uint32_t output_events) {
  Turn turn(*this);
  turn.engine()->progress(turn.now(), id, output_events);
}

void Scheduler::complete(RequestId id, const Completion& completion) {
  Turn turn(*this);
  turn.engine()->complete(turn.now(), id, completion);
  impl_->waiters.erase(id.seq);
}

void Scheduler::requeue(RequestId id, Engine::Requeue why) {
  Turn turn(*this);
  turn.engine()->requeue(turn.now(), id, why);
}

bool Scheduler::draining() const { return impl_->draining.load(std::memory_order_relaxed); }

void Scheduler::tick() {
  Turn turn(*this);
  impl_->armed_for = kNever;
  turn.engine()->advance(turn.now());
}

void Scheduler::reclassify(const ClassOf& class_of) {
  Turn turn(*this);
  turn.engine()->reclassify(
      turn.now(), [&](RequestId id, ClassId current) -> std::optional<ClassId> {
        const auto it = impl_->waiters.find(id.seq);
        const std::string_view target =
            it != impl_->waiters.end() ? it->second->target() : std::string_view();
        return target.empty() ? current : class_of(target);
      });
}

}  // namespace sluice
