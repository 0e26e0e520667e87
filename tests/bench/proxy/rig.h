// The processes that a measurement is made on: a fixed server, and in front of it nothing, the bare
// forwarder, or Sluice.
//
// Ownership: the processes and the files end with the rig. Errors end the program with a message:
// there is nothing to measure then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/demo/child.h"

namespace sluice::bench {

[[noreturn]] void die(const std::string& why);

class Rig {
 public:
  struct Proxy {
    demo::Child child;
    uint16_t port = 0, admin_port = 0;
  };

  Rig();
  ~Rig();

  uint16_t server_port() const { return server_port_; }
  Proxy start_forwarder();
  // `sluice serve` with the three scorers of conf/pipeline.toml, four endpoints (which are one
  // process), and CAPACITY as [pool.capacity]; ready when it returns.
  Proxy start_sluice(const std::string& capacity = "mode = \"auto\"");

 private:
  std::filesystem::path directory_;
  demo::Child server_;
  uint16_t server_port_ = 0;
};

}  // namespace sluice::bench
