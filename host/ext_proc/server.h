// The ext_proc server: Sluice as the Endpoint Picker of Envoy and of every gateway that speaks its
// external processing protocol, and the gRPC health service, on one port.
//
// gRPC's asynchronous completion queues, one a thread; a stream stays with the thread that it was
// given to. Threads: every function is [control], one at a time, but streams() and body_bytes().
// Ownership: the scheduler, the backends and what the record sink uses must outlive it. Life:
// listen, start; reconfigure and set_ready at any time; stop. Destroying stops.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/result.h"
#include "host/config/config.h"
#include "host/ext_proc/settings.h"
#include "host/transport/request_context.h"

namespace sluice {

namespace ext_proc {
class Certificates;
class Worker;
}  // namespace ext_proc

class ExtProcServer {
 public:
  struct Options {
    uint32_t threads = 2;
    uint64_t seed = 0;  // of request ids
  };
  ExtProcServer(TransportServices services, std::shared_ptr<const ExtProcSettings> settings,
                Options options);
  ~ExtProcServer();
  ExtProcServer(const ExtProcServer&) = delete;

  // Binds LISTENER's address (port 0: any free one) and begins to listen. The port, or why not.
  Result<uint16_t> listen(const config::ExtProcListener& listener);
  // Starts the threads; streams are served from here on.
  void start();

  // For streams that begin from now on; the others keep what they came under.
  void reconfigure(std::shared_ptr<const ExtProcSettings> settings);
  // What the health service says from now on.
  void set_ready(bool ready);
  // Looks at the files of certificates, and tells the log of changes: to be called now and then.
  void look_at_certificates();

  // Cuts every stream, tells the scheduler, and ends the threads.
  void stop();

  size_t streams() const { return streams_; }  // of Process
  size_t calls() const { return calls_; }      // of whatever method
  // Memory of the bodies that are being read.
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  const TransportServices services_;
  const Options options_;
  std::shared_ptr<const ExtProcSettings> settings_;
  std::atomic<uint64_t> body_bytes_ = 0;
  std::atomic<size_t> streams_ = 0, calls_ = 0;
  bool ready_ = false;
  grpc::AsyncGenericService service_;
  std::unique_ptr<ext_proc::Certificates> certificates_;  // null: plaintext
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::shared_ptr<ext_proc::Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice
