// One thread of the ext_proc server: a completion queue, the streams that are on it, and what they
// share without locks.
//
// Threads: everything belongs to its own thread but post(), which is [any]. Ownership: shared with
// waiters, so that a decision on its way from another thread always finds it.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "host/ext_proc/exchange.h"

namespace sluice::ext_proc {

class Call;
class HealthCall;
class ProcessCall;

// A tag of the completion queue: what its completion is for.
struct Event {
  virtual ~Event() = default;
  virtual void happened(bool ok) = 0;
};

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  Worker(const TransportServices& services, std::atomic<uint64_t>& body_bytes,
         std::atomic<size_t>& streams, std::atomic<size_t>& calls,
         std::shared_ptr<const ExtProcSettings> settings, uint64_t seed,
         std::unique_ptr<grpc::ServerCompletionQueue> queue, grpc::AsyncGenericService& service);

  // The thread's life: until shut_down() and the last event after it.
  void run();
  // Accepts the next stream.
  void accept();
  // Runs TASK on the thread, soon. After shut_down() it is dropped.
  void post(std::function<void()> task);
  // Nothing new is begun. The server must have been shut down, and no call be left: gRPC bears no
  // operation on a queue that is shut down.
  void shut_down();

  // Where exchanges stand in the order of their last sign of life, one list for each patience.
  struct Place {
    std::list<ProcessCall*>* list = nullptr;
    std::list<ProcessCall*>::iterator at;
    TimeNs since = 0;
  };
  void alive(ProcessCall& call, Place& place, uint64_t patience_ns);
  void forget(Place& place);

  grpc::ServerCompletionQueue& queue() { return *queue_; }
  grpc::AsyncGenericService& service() { return service_; }

  Surroundings surroundings;
  std::atomic<size_t>& streams;
  std::atomic<size_t>& calls;  // of all workers: of Process, and of every method
  bool asks_names = false;     // of peers' certificates
  std::unordered_set<HealthCall*> watchers;
  bool ready = false;  // as health says

 private:
  struct Wake final : Event {
    explicit Wake(Worker& of) : worker(of) {}
    void happened(bool) override { worker.run_posted(); }
    Worker& worker;
  };
  void run_posted();
  void run_local();
  void look_for_silent();

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  grpc::AsyncGenericService& service_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false, shut_ = false;
  Wake wake_{*this};
  grpc::Alarm alarm_;
  std::vector<std::function<void()>> local_;  // posted by the thread itself
  // By patience: in one list the first is the first to run out.
  std::vector<std::pair<uint64_t, std::unique_ptr<std::list<ProcessCall*>>>> quiet_;
};

}  // namespace sluice::ext_proc
