#include "host/ext_proc/worker.h"

#include <algorithm>

#include "host/ext_proc/call.h"
#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

// The worker whose thread this is.
thread_local Worker* own_worker = nullptr;

gpr_timespec in(uint64_t ns) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(static_cast<int64_t>(ns), GPR_TIMESPAN));
}

}  // namespace

Worker::Worker(const TransportServices& services, std::atomic<uint64_t>& body_bytes,
               std::atomic<size_t>& streams_in, std::atomic<size_t>& calls_in,
               std::shared_ptr<const ExtProcSettings> settings, uint64_t seed,
               std::unique_ptr<grpc::ServerCompletionQueue> queue,
               grpc::AsyncGenericService& service)
    : surroundings{services, body_bytes, std::move(settings), Classifier(), std::mt19937_64(seed)},
      streams(streams_in),
      calls(calls_in),
      queue_(std::move(queue)),
      service_(service) {}

void Worker::run() {
  own_worker = this;
  TimeNs next_look = Scheduler::now() + kTickNs;
  for (;;) {
    void* tag = nullptr;
    bool ok = false;
    const auto status = queue_->AsyncNext(&tag, &ok, in(kTickNs));
    if (status == grpc::CompletionQueue::SHUTDOWN) break;
    if (status == grpc::CompletionQueue::GOT_EVENT) static_cast<Event*>(tag)->happened(ok);
    run_local();
    if (const TimeNs now = Scheduler::now(); now >= next_look) {
      next_look = now + kTickNs;
      look_for_silent();
      run_local();
    }
  }
  own_worker = nullptr;
}

void Worker::accept() {
  const std::lock_guard lock(mutex_);
  if (!shut_) Call::accept(*this);
}

void Worker::post(std::function<void()> task) {
  if (own_worker == this) {
    local_.push_back(std::move(task));
    return;
  }
  const std::lock_guard lock(mutex_);
  if (shut_) return;
  posted_.push_back(std::move(task));
  if (!std::exchange(woken_, true)) alarm_.Set(queue_.get(), in(0), &wake_);
}

void Worker::shut_down() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(shut_, true)) queue_->Shutdown();
}

void Worker::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) task();
}

void Worker::run_local() {
  while (!local_.empty()) {
    const auto tasks = std::exchange(local_, {});
    for (const auto& task : tasks) task();
  }
}

void Worker::alive(ProcessCall& call, Place& place, uint64_t patience_ns) {
  if (patience_ns == 0) return forget(place);
  auto found = std::ranges::find(quiet_, patience_ns, [](const auto& one) { return one.first; });
  if (found == quiet_.end()) {
    quiet_.emplace_back(patience_ns, std::make_unique<std::list<ProcessCall*>>());
    found = quiet_.end() - 1;
  }
  std::list<ProcessCall*>& list = *found->second;
  place.since = Scheduler::now();
  if (place.list != nullptr) {
    list.splice(list.end(), *place.list, place.at);
  } else {
    place.at = list.insert(list.end(), &call);
  }
  place.list = &list;
}

void Worker::forget(Place& place) {
  if (place.list != nullptr) place.list->erase(place.at);
  place.list = nullptr;
}

void Worker::look_for_silent() {
  const TimeNs now = Scheduler::now();
  for (size_t i = 0; i < quiet_.size(); ++i) {
    std::list<ProcessCall*>& list = *quiet_[i].second;
    while (!list.empty() && list.front()->silent_since() + quiet_[i].first <= now)
      list.front()->silent();
  }
}

}  // namespace sluice::ext_proc
