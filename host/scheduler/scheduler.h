// The engine's owner inside the host: a lock, the clock, the timer, and the delivery of decisions.
//
// Transports call it from any thread. Decisions reach their Waiter outside the lock, on whichever
// thread made the call that caused them; a Waiter hands them to its own executor. Threads: every
// function is [any] unless said otherwise.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "core/engine.h"

namespace sluice {

// One request's end of the line. Kept alive by the scheduler until the request has ended.
class Waiter {
 public:
  virtual ~Waiter() = default;
  // Called once for each decision about this request, in order, never two at once, possibly before
  // submit returns. Must not block and must not call the scheduler: post it.
  virtual void on_decision(const Decision& decision) = 0;
  // The model that says which endpoints may serve the request; "" = it stays where it was
  // submitted. Called under the scheduler's lock.
  virtual std::string_view target() const { return {}; }
};

class Scheduler {
 public:
  // ARM_TIMER is told of the next deadline when that is earlier than the one it was told of last
  // and that has not come yet; the host then calls tick() at that time, and at no other. It is
  // called outside the lock. A deadline that moves back tells nobody: most requests end long before
  // theirs.
  using ArmTimer = std::function<void(TimeNs)>;
  Scheduler(std::unique_ptr<Engine> engine, ArmTimer arm_timer);
  ~Scheduler();

  static TimeNs now();  // CLOCK_MONOTONIC

  RequestId submit(const Submission& submission, std::shared_ptr<Waiter> waiter);
  // As Engine::cancel. After kEnded or kUnknown the waiter is no longer called.
  Engine::Cancel cancel(RequestId id);
  void progress(RequestId id, uint32_t output_events);
  void complete(RequestId id, const Completion& completion);
  void requeue(RequestId id, Engine::Requeue why);
  void tick();
  // New requests are refused: for transports that would read a body in vain. No lock.
  bool draining() const;
  // The classes have changed: every request goes to the one that CLASS_OF names for its target, or
  // ends as of an unknown model (nullopt). CLASS_OF is called under the lock. O(requests).
  using ClassOf = std::function<std::optional<ClassId>(std::string_view target)>;
  void reclassify(const ClassOf& class_of);

  // Anything else of the engine, under the lock; decisions are delivered afterwards. F takes
  // (Engine&, TimeNs now).
  template <typename F>
  auto with_engine(F&& f) {
    Turn turn(*this);
    return f(*turn.engine(), turn.now());
  }

 private:
  // One call into the engine: holds the lock; delivers decisions and moves the timer after letting
  // it go.
  class Turn {
   public:
    explicit Turn(Scheduler& scheduler);
    ~Turn();
    Engine* engine();
    TimeNs now() const { return now_; }

   private:
    friend class Scheduler;
    Scheduler& scheduler_;
    TimeNs now_;
  };
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
