// What a plugin file says about itself, as plain values: for listing it, and for choosing a policy
// by name.
//
// describe() reads static data only and calls no function of the plugin; all of it is
// bounds-checked, but a wild pointer still crashes, which is why it runs in a child process first
// (probe.h). Threads: [any], pure.
#pragma once

#include <sluice/sluice.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::plugins {

enum class Kind : uint8_t { kOrdering, kFairness, kEviction, kScoring };
const char* kind_name(Kind kind);     // "fairness"
const char* interface_id(Kind kind);  // "sluice.fairness/1"
std::optional<Kind> kind_of(std::string_view interface_id);

// Why a file may not be used, and what would help.
struct Refusal {
  std::string why;  // completes the sentence "FILE ..."
  std::string fix;
};

// As sluice_value, with its own memory.
struct Value {
  int64_t i = 0;
  double f = 0;
  std::string s;
};

struct ParamInfo {
  std::string name, summary, unit;
  uint32_t type = 0;  // SLUICE_BOOL ...
  Value standard, min, max;
  std::vector<std::string> choices;
};

struct PolicyInfo {
  std::string name, summary;
  Kind kind = Kind::kOrdering;
  std::vector<std::string> interfaces;  // ids
  uint64_t flags = 0, inputs = 0, events = 0;
  std::vector<ParamInfo> params;
};

struct PluginInfo {
  std::filesystem::path path;
  std::string sha256;              // 64 hex digits; empty if the file could not be read
  uint64_t size = 0;               // bytes
  std::optional<Refusal> refusal;  // what stands below is empty then
  std::string package, version, license;
  uint16_t minor_built = 0, minor_needed = 0;
  std::vector<PolicyInfo> policies;
  std::vector<std::string> notes;  // unusual, but no reason to refuse it

  // The policy NAME of kind KIND, or null.
  const PolicyInfo* find(std::string_view name, Kind kind) const;
};

// Reads ENTRY into the lower half of INFO; or says what is wrong with it.
std::optional<Refusal> describe(const sluice_entry_v1& entry, PluginInfo& info);

}  // namespace sluice::plugins
