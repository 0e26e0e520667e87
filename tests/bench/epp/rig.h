// The processes that a measurement is made on: Sluice as an ext_proc server, before four endpoints
// that are one fixed server, and the bare picker.
//
// Ownership: the processes and the files end with the rig. Errors end the program with a message:
// there is nothing to measure then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "host/demo/child.h"

namespace sluice::bench {

[[noreturn]] void die(const std::string& why);

class Rig {
 public:
  struct Server {
    demo::Child child;
    uint16_t port = 0, admin_port = 0;  // admin_port: 0 = has none
  };

  Rig();
  ~Rig();

  Server start_bare();
  // `sluice serve` with the three scorers of conf/pipeline.toml, and room for MAX_IN_FLIGHT
  // requests at each endpoint; ready when it returns.
  Server start_sluice(uint32_t max_in_flight);

 private:
  std::filesystem::path directory_;
  demo::Child model_server_;
  uint16_t model_server_port_ = 0;
};

// How many requests are parked, as the /metrics of ADMIN_PORT tell.
double parked_requests(uint16_t admin_port);

}  // namespace sluice::bench
