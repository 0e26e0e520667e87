// The parts of pipeline.toml, one function each; parse.cc calls them in this order.
//
// Each reads its tables from ROOT into CONFIG and reports what is wrong; after an error it leaves a
// default in place, so that the parts after it find no follow-up errors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/config/reader.h"

namespace sluice::config {

// What the tables of FILE share; variables come from the environment.
Source source_of(const std::filesystem::path& file, Diagnostics& diagnostics);

void read_listeners(TableReader& root, Config& config);   // [listen], [admin]
void read_plugins(TableReader& root, Config& config);     // [plugins]
void read_pool(TableReader& root, Config& config);        // [pool]; after the listeners
void read_bands(TableReader& root, Config& config);       // [[band]]
void read_flow(TableReader& root, Config& config);        // [flow], [[trust]]; after the bands
void read_objectives(TableReader& root, Config& config);  // [[objective]]; after flow
void read_models(TableReader& root, Config& config);      // [[model]]; after the bands
void read_tenants(TableReader& root, Config& config);     // [[tenant]]; after flow
void read_scoring(TableReader& root, Config& config);     // [[scoring]], [picker]

// The endpoints that TABLES describe, names and addresses unique among them.
std::vector<Endpoint> read_endpoints(std::vector<TableReader>& tables);
// use, mode, sha256 and params of TABLE, which the caller finishes. OUT has no name if use or
// sha256 cannot be used.
void read_policy(TableReader& table, PolicyUse& out);
// The band NAME, which stands at KEY of TABLE; reports one that does not exist.
std::optional<uint32_t> find_band(TableReader& table, std::string_view key,
                                  const std::vector<Band>& bands, const std::string& name);

// Finds what stands twice. WHAT: "bands are named", "endpoints have the address".
class Unique {
 public:
  explicit Unique(std::string what) : what_(std::move(what)) {}
  // NAME is how SHOWN is compared.
  void add(TableReader& table, std::string_view key, const std::string& name,
           const std::string& shown);

 private:
  std::string what_;
  std::map<std::string, Location> seen_;
};

}  // namespace sluice::config
