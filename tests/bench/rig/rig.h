// The processes that a measurement over sockets is made on: Sluice before four endpoints that are
// one fixed server, and the bare program that it is compared with.
//
// Ownership: the processes and the files end with the rig. Errors end the program with a message:
// there is nothing to measure then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/demo/child.h"

namespace sluice::bench {

// At once: what still runs is neither waited for nor destroyed, and the children end with this.
[[noreturn]] void die(const std::string& why);

class Rig {
 public:
  struct Server {
    demo::Child child;
    uint16_t port = 0, admin_port = 0;  // admin_port: 0 = has none
  };

  Rig();
  ~Rig();

  uint16_t server_port() const { return server_port_; }  // of the fixed server
  // This program with other arguments, which says on which port it listens.
  Server start_own(const std::vector<std::string>& arguments);
  // `sluice serve` with LISTENER ("http", "ext_proc"), the three scorers of conf/pipeline.toml, and
  // CAPACITY as [pool.capacity]; ready when it returns.
  Server start_sluice(const std::string& listener, const std::string& capacity);

 private:
  std::filesystem::path directory_;
  demo::Child server_;
  uint16_t server_port_ = 0;
};

// How many requests are parked, as the /metrics of ADMIN_PORT tell.
double parked_requests(uint16_t admin_port);
// Writes FIGURES to FILE, if it is not "".
void write_json(const std::string& file, const nlohmann::json& figures);

}  // namespace sluice::bench
