// pipeline.toml as plain values: every key checked, every default filled in, no policy loaded yet.
//
// Units: durations in nanoseconds, sizes in bytes; 0 = no limit for limits and TTLs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/pipeline.h"
#include "host/config/diagnostics.h"

namespace sluice::config {

struct SocketAddress {
  std::string host;  // an IPv4 or IPv6 literal, or "localhost"
  uint16_t port = 0;
  std::string text;  // as written
};

enum class ErrorFormat : uint8_t { kOpenAi, kLlmD };

struct HttpListener {
  SocketAddress address;
  uint64_t max_header = 64 << 10;
  uint64_t max_body = 32 << 20;
  uint64_t header_timeout_ns = 10'000'000'000;
  uint64_t body_timeout_ns = 60'000'000'000;
  ErrorFormat error_format = ErrorFormat::kOpenAi;
  bool expose_endpoint = true;
};

// Files of a listener's certificate; absolute.
struct Tls {
  std::filesystem::path cert, key;
  std::filesystem::path client_ca;  // empty = clients show no certificate
  Location at;
};

struct ExtProcListener {
  SocketAddress address;
  uint64_t max_body = 32 << 20;
  uint64_t body_timeout_ns = 60'000'000'000;
  ErrorFormat error_format = ErrorFormat::kOpenAi;
  bool expose_endpoint = true;
  bool scores = false;     // in the metadata of a pick
  std::optional<Tls> tls;  // nullopt = plaintext
};

// A parameter as the file has it; types are checked against the policy's own table once it is
// loaded.
struct ParamValue {
  std::string name;
  std::variant<bool, int64_t, double, std::string> value;
  Location at;
};

// `use = "package/policy"` of one slot.
struct PolicyUse {
  std::string package = "sluice";
  std::string name;
  bool shadow = false;
  std::string sha256;  // 64 hex digits, or ""
  std::vector<ParamValue> params;
  Location at;
  std::string full_name() const { return package + "/" + name; }
};

struct Band {
  BandConfig limits;  // name, priority, TTLs and limits; its policies are null
  PolicyUse ordering, fairness, eviction;
  Location at;
};

struct Endpoint {
  std::string name;
  SocketAddress address;
  std::vector<std::string> models;  // exact names, or a prefix and '*'; empty = learnt
  std::map<std::string, std::string> labels;
  std::optional<uint32_t> max_in_flight;  // fixed; nullopt = [pool.capacity]
  Location at;
};

enum class EngineKind : uint8_t { kVllm, kSglang, kTrtllm };

struct Pool {
  std::vector<Endpoint> endpoints;       // of pipeline.toml itself
  std::filesystem::path endpoints_file;  // absolute; empty = none. The same array, watched
  // mode = "auto": room is learnt, up to the limits below.
  bool learn_room = true;
  uint32_t max_in_flight = 0;         // requests on each endpoint; 0 = no limit
  uint64_t max_in_flight_tokens = 0;  // tokens on each endpoint; 0 = no limit
  uint64_t max_prefill_tokens = 0;    // of prompts whose answers have not begun; 0 = no limit
  uint32_t gateways = 1;              // that share the endpoints
  EngineKind engine = EngineKind::kVllm;
  std::string scrape_path = "/metrics";
  uint64_t scrape_interval_ns = 50'000'000;
  uint64_t stale_after_ns = 1'000'000'000;
};

struct Upstream {
  uint64_t connect_timeout_ns = 2'000'000'000;
  uint64_t idle_timeout_ns = 300'000'000'000;
  uint32_t retries = 1;
};

// One component of a flow key.
struct FlowComponent {
  enum class Kind : uint8_t { kModel, kObjective, kHeader } kind = Kind::kModel;
  std::string header;  // lower case; kHeader only
};

struct Trust {
  std::vector<std::string> from;     // CIDRs, "any" or "mtls:SAN"
  std::vector<std::string> headers;  // lower case
};

struct Target {
  std::string model;
  double weight = 1;
};

struct Model {
  std::string name;
  std::optional<uint32_t> band;  // index into bands
  double weight = 1;
  std::vector<Target> targets;  // empty = its own name
  Location at;
};

struct Objective {
  std::string name;
  uint32_t band = 0;
};

struct Tenant {
  std::string component;  // "model", "objective" or "header:NAME", as in flow.key
  std::string value;
  double weight = 1;
  uint64_t max_requests = 0;
  Location at;
};

struct Scorer {
  PolicyUse use;
  double weight = 1;
};

// How the usage of a stream becomes known: the model server is asked for it, or its events are
// counted, or neither.
enum class StreamUsage : uint8_t { kInject, kCount, kOff };

enum class LogFormat : uint8_t { kText, kJson };

struct Config {
  std::optional<HttpListener> http;
  std::optional<ExtProcListener> ext_proc;
  std::optional<SocketAddress> admin;
  std::vector<std::filesystem::path> plugin_directories;  // absolute, of the file itself, in order
  bool require_sha256 = false;
  Pool pool;
  Upstream upstream;
  std::vector<FlowComponent> flow_key;
  uint32_t max_flows = 10000;
  uint64_t flow_idle_ttl_ns = 600'000'000'000;
  uint32_t default_band = 0;  // index into bands
  std::vector<Trust> trust;
  std::optional<StreamUsage> stream_usage;  // nullopt = inject for http, count for ext_proc
  CostConfig cost;
  std::string log_level = "info";
  LogFormat log_format = LogFormat::kText;
  std::filesystem::path decisions_file;  // empty = none
  uint64_t max_requests = 20000;
  uint64_t max_bytes = uint64_t{4} << 30;
  uint64_t drain_grace_ns = 5'000'000'000;
  uint64_t drain_deadline_ns = 60'000'000'000;
  std::vector<Band> bands;  // highest priority first
  std::vector<Objective> objectives;
  std::vector<Model> models;
  std::vector<Tenant> tenants;
  std::vector<Scorer> scorers;
  PickerKind picker = PickerKind::kMaxScore;
  uint32_t picker_max_endpoints = 1;
  WaitForBetter wait_for_better;
};

// Reads and checks FILE. On errors returns nothing; what was found stands in DIAGNOSTICS either
// way, warnings too.
std::optional<Config> load(const std::filesystem::path& file, Diagnostics& diagnostics);
// The same, but with errors (DIAGNOSTICS.has_errors()) what could be read all the same, so that the
// policies it names can be checked, too: nothing else may be done with it. A policy without a name
// could not be read. Nothing only if FILE is no TOML.
std::optional<Config> load_partly(const std::filesystem::path& file, Diagnostics& diagnostics);
// The same for text that stands in for FILE.
std::optional<Config> parse(std::string_view text, const std::filesystem::path& file,
                            Diagnostics& diagnostics);
std::optional<Config> parse_partly(std::string_view text, const std::filesystem::path& file,
                                   Diagnostics& diagnostics);
// Reads an endpoints_file: `[[endpoints]]` (or `[[pool.endpoints]]`), the same keys as in
// pipeline.toml.
std::optional<std::vector<Endpoint>> load_endpoints(const std::filesystem::path& file,
                                                    Diagnostics& diagnostics);

}  // namespace sluice::config
