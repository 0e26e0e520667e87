#include "host/sim_server/settings.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace sluice::sim_server {
namespace {

using Json = nlohmann::ordered_json;

constexpr Failure kFailures[] = {Failure::kOff, Failure::kRefuse, Failure::kHang, Failure::kReset,
                                 Failure::kError};
constexpr double kNsPerMs = 1e6;
constexpr double kDurationMaxMs = 86'400'000.0;  // a day

double to_ms(uint64_t ns) { return static_cast<double>(ns) / kNsPerMs; }

struct Setter {
  const std::string& key;
  const Json& value;
  std::string error;

  template <typename T>
  void integer(T& out, uint64_t min, uint64_t max) {
    const bool whole = value.is_number_unsigned();
    if (!whole || value.get<uint64_t>() < min || value.get<uint64_t>() > max) {
      error = fmt::format("{} must be a whole number, {} to {}", key, min, max);
      return;
    }
    out = static_cast<T>(value.get<uint64_t>());
  }

  void number(double& out, double max) {
    if (!value.is_number() || !(value.get<double>() >= 0) || value.get<double>() > max) {
      error = fmt::format("{} must be a number, 0 to {}", key, max);
      return;
    }
    out = value.get<double>();
  }

  void duration(uint64_t& out) {
    double ms = 0;
    number(ms, kDurationMaxMs);
    if (error.empty()) out = static_cast<uint64_t>(std::llround(ms * kNsPerMs));
  }

  void yes_or_no(bool& out) {
    if (value.is_boolean()) {
      out = value.get<bool>();
    } else {
      error = fmt::format("{} must be true or false", key);
    }
  }

  void failure(Failure& out) {
    const auto named =
        value.is_string() ? failure_named(value.get_ref<const std::string&>()) : std::nullopt;
    if (!named) {
      error = fmt::format("{} must be none, refuse, hang, reset or error", key);
      return;
    }
    out = *named;
  }
};

}  // namespace

std::string settings_json(const SimSettings& settings) {
  Json out;
  out["max_num_seqs"] = settings.max_num_seqs;
  out["max_waiting"] = settings.max_waiting;
  out["kv_tokens"] = settings.kv_tokens;
  out["time_to_first_token_ms"] = to_ms(settings.time_to_first_token_ns);
  out["inter_token_latency_ms"] = to_ms(settings.inter_token_latency_ns);
  out["metrics"] = settings.metrics;
  out["metrics_delay_ms"] = to_ms(settings.metrics_delay_ns);
  out["failure"] = to_string(settings.failure);
  out["failure_rate"] = settings.failure_rate;
  out["failure_status"] = settings.failure_status;
  out["failure_after_tokens"] = settings.failure_after_tokens;
  out["failure_for_ms"] = to_ms(settings.failure_for_ns);
  return out.dump();
}

Result<SimSettings> apply_settings(SimSettings settings, std::string_view json) {
  const Json root = Json::parse(json.begin(), json.end(), nullptr, false);
  if (!root.is_object()) return Error{"the body is not a JSON object"};
  constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();
  constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();
  for (const auto& [key, value] : root.items()) {
    Setter set{key, value, {}};
    if (key == "max_num_seqs") {
      set.integer(settings.max_num_seqs, 1, kMax32);
    } else if (key == "max_waiting") {
      set.integer(settings.max_waiting, 0, kMax64);
    } else if (key == "kv_tokens") {
      set.integer(settings.kv_tokens, 0, kMax64);
    } else if (key == "time_to_first_token_ms") {
      set.duration(settings.time_to_first_token_ns);
    } else if (key == "inter_token_latency_ms") {
      set.duration(settings.inter_token_latency_ns);
    } else if (key == "metrics") {
      set.yes_or_no(settings.metrics);
    } else if (key == "metrics_delay_ms") {
      set.duration(settings.metrics_delay_ns);
    } else if (key == "failure") {
      set.failure(settings.failure);
    } else if (key == "failure_rate") {
      set.number(settings.failure_rate, 1);
    } else if (key == "failure_status") {
      set.integer(settings.failure_status, 400, 599);
    } else if (key == "failure_after_tokens") {
      set.integer(settings.failure_after_tokens, 0, kMax32);
    } else if (key == "failure_for_ms") {
      set.duration(settings.failure_for_ns);
    } else {
      return Error{fmt::format("unknown key {}; GET /admin/config shows those there are", key)};
    }
    if (!set.error.empty()) return Error{set.error};
  }
  return settings;
}

const char* to_string(Failure failure) {
  switch (failure) {
    case Failure::kOff:
      return "none";
    case Failure::kRefuse:
      return "refuse";
    case Failure::kHang:
      return "hang";
    case Failure::kReset:
      return "reset";
    case Failure::kError:
      return "error";
  }
  return "";
}

std::optional<Failure> failure_named(std::string_view name) {
  for (Failure failure : kFailures) {
    if (name == to_string(failure)) return failure;
  }
  return std::nullopt;
}

}  // namespace sluice::sim_server
