// What the configuration says about a request: which flow, band, tenant and target model it is of,
// and whose word on that counts.
//
// Immutable once made; a reload makes another. Requests hold what they need as values, so an old
// Routing may go while its requests are parked. Trust: a header that routes or prioritises is
// believed only from a peer that a [[trust]] entry names, else ignored
//   and kept from the model server. Everybody may shorten their own time limits.
// Threads: [any], const. Complexity: O(headers + trust entries + models' targets) a request, plus
// hashing the prompt.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "core/types.h"
#include "host/config/config.h"
#include "host/request/cidr.h"
#include "host/request/classify.h"
#include "host/request/headers.h"

namespace sluice {

inline constexpr std::string_view kDefaultFlowPart = "default-flow";
inline constexpr size_t kFlowPartMax =
    256;  // bytes of one component of a flow; a longer one ends in its hash
inline constexpr uint32_t kPrefixBytesPerToken = 4;  // blocks of the prefix index are bytes
inline constexpr uint32_t kChoicesMax = 128;

// A column of the request table that a policy asked for: "header:NAME" or "hash:header:NAME".
struct DeclaredColumn {
  enum class Source : uint8_t { kHeader, kHeaderHash } source = Source::kHeader;
  bool is_float =
      false;  // its place is the next free one of Submission::floats, else of Submission::ints
  std::string header;  // lower case
  int64_t absent_int = 0;
  double absent_float = 0;
};

struct RoutingOptions {
  std::vector<DeclaredColumn> columns;  // in the order in which they were declared
  uint64_t generation = 0;  // Pipeline::generation of the pipeline made from the same configuration
  uint64_t seed = 0;        // of the choice among weighted targets
  bool prefixes = true;     // false: no policy reads them
  uint32_t prefix_block_tokens = 64;
};

// One request, routed. Its submission() points into it.
struct Routed {
  std::string flow;
  std::string target;  // model
  uint64_t generation = 0;
  uint32_t band = 0;
  uint32_t tenant = kNone;
  uint32_t weight_milli = 1000;
  uint64_t bytes = 0;
  uint32_t prompt_bytes = 0, output_max = 0;
  uint32_t choices = 0;  // 0 = it asks for no output
  TimeNs wall_deadline_ns = kNever;
  std::vector<uint64_t> prefix;
  std::vector<int64_t> ints;
  std::vector<double> floats;

  Submission submission(ClassId eligible) const;
};

class Routing {
 public:
  // Fails on what the configuration's own check let through: a CIDR that is none.
  static Result<std::shared_ptr<const Routing>> create(const config::Config& config,
                                                       RoutingOptions options);

  Routed route(const RequestFacts& facts, std::string_view body, Headers headers, const Peer& peer,
               std::string_view request_id, TimeNs now) const;

  // Whether the model server may see this header of a request from PEER, in whatever spelling.
  bool forwards(std::string_view header_name, const Peer& peer) const;

  // Whether PEER's word counts for HEADER_NAME.
  bool believes(std::string_view header_name, const Peer& peer) const;

  // Every model name that the configuration knows, incoming names first, each once.
  const std::vector<std::string>& models() const { return model_names_; }
  const std::string& band_name(uint32_t band) const { return band_names_[band]; }

 private:
  struct Trust {
    std::vector<Cidr> from;
    std::vector<std::string> names;  // of certificates
    bool any = false;
    std::vector<std::string> headers;
    bool covers(const Peer& peer) const;
  };
  Routing() = default;

  // The value of a header that routes, if PEER may give it; by its own name, else by its alias.
  std::optional<std::string_view> believed(std::string_view name, Headers headers,
                                           const Peer& peer) const;
  std::string pick_target(const config::Model* model, const RequestFacts& facts,
                          std::string_view request_id) const;
  void fill_flow(Routed& routed, const RequestFacts& facts, Headers headers, const Peer& peer,
                 std::string_view objective) const;
  void fill_columns(Routed& routed, Headers headers, const Peer& peer) const;

  RoutingOptions options_;
  std::vector<Trust> trust_;
  std::vector<std::string> controlled_;  // headers that only a trusted peer may send on
  std::vector<config::FlowComponent> flow_key_;
  std::vector<config::Tenant> tenants_;
  std::vector<size_t>
      tenant_component_;  // of each tenant, into flow_key_; SIZE_MAX = in no flow key
  std::unordered_map<std::string, config::Model> models_;
  std::unordered_map<std::string, uint32_t> objectives_;  // name -> band
  std::vector<std::string> model_names_, band_names_;
  uint32_t default_band_ = 0;
};

}  // namespace sluice
