// One io thread's share of the proxy: its event loop and what its sessions use without locks.
//
// Threads: everything but `context` belongs to the thread that runs it; others post to it.
// Ownership: shared, so that a decision on its way from another thread always finds the loop alive.
#pragma once

#include <atomic>
#include <memory>
#include <random>
#include <unordered_set>

#include "host/http/net.h"
#include "host/http/settings.h"
#include "host/http/upstream.h"
#include "host/request/classify.h"
#include "host/scheduler/scheduler.h"
#include "host/transport/record.h"
#include "host/transport/request_context.h"

namespace sluice {

class Session;

struct Worker {
  Worker(Scheduler& scheduler_in, Backends& backends_in, std::atomic<uint64_t>& body_bytes_in,
         RecordSink record_in, std::shared_ptr<const HttpSettings> settings_in, uint64_t seed)
      : services{scheduler_in, backends_in, std::move(record_in)},
        body_bytes(body_bytes_in),
        settings(std::move(settings_in)),
        random(seed) {}

  asio::io_context context{1};
  asio::executor_work_guard<Executor> work{context.get_executor()};  // until it is to end
  TransportServices services;
  std::atomic<uint64_t>& body_bytes;  // being read, by all workers
  std::shared_ptr<const HttpSettings> settings;
  UpstreamPool upstreams{context.get_executor()};
  Classifier classifier;
  std::mt19937_64 random;  // request ids
  std::unordered_set<Session*> sessions;
  bool closing = false;  // answers end their connection
};

}  // namespace sluice
