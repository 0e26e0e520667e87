// setup.hpp: what a policy is made from: its parameters as the operator set them, and the host.
//
// Threads: [control], in create only. Borrows everything. A mistake of the plugin (a name that is
// not in its table, a source that the host does not know) throws, and the wrapper turns it into a
// refusal that the operator reads.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include <sluice/sluice.h>

namespace sluice {

// ---- rows of a policy's `static constexpr sluice_param_v1 params[]` ----

constexpr sluice_param_v1 int_param(const char* name, const char* summary, const char* unit,
                                    int64_t standard, int64_t min, int64_t max) {
  return {name,    summary,    unit, {standard, 0, ""}, {min, 0, ""}, {max, 0, ""},
          nullptr, SLUICE_INT, 0};
}

constexpr sluice_param_v1 float_param(const char* name, const char* summary, const char* unit,
                                      double standard, double min, double max) {
  return {name,    summary,      unit, {0, standard, ""}, {0, min, ""}, {0, max, ""},
          nullptr, SLUICE_FLOAT, 0};
}

// UNIT says what it is per, if anything; the value itself is written with its unit, "250ms".
constexpr sluice_param_v1 duration_param(const char* name, const char* summary, const char* unit,
                                         int64_t standard_ns, int64_t min_ns, int64_t max_ns) {
  return {name,    summary,         unit, {standard_ns, 0, ""}, {min_ns, 0, ""}, {max_ns, 0, ""},
          nullptr, SLUICE_DURATION, 0};
}

constexpr sluice_param_v1 bytes_param(const char* name, const char* summary, int64_t standard,
                                      int64_t min, int64_t max) {
  return {name,    summary,      "", {standard, 0, ""}, {min, 0, ""}, {max, 0, ""},
          nullptr, SLUICE_BYTES, 0};
}

constexpr sluice_param_v1 bool_param(const char* name, const char* summary, bool standard) {
  return {name,    summary,     "", {standard ? 1 : 0, 0, ""}, {0, 0, ""}, {1, 0, ""},
          nullptr, SLUICE_BOOL, 0};
}

constexpr sluice_param_v1 text_param(const char* name, const char* summary, const char* standard) {
  return {name, summary, "", {0, 0, standard}, {0, 0, ""}, {0, 0, ""}, nullptr, SLUICE_STRING, 0};
}

// CHOICES ends with a null pointer.
constexpr sluice_param_v1 choice_param(const char* name, const char* summary, const char* standard,
                                       const char* const* choices) {
  return {name, summary, "", {0, 0, standard}, {0, 0, ""}, {0, 0, ""}, choices, SLUICE_CHOICE, 0};
}

class Setup {
 public:
  Setup(const sluice_host_v1& host, const sluice_param_v1* params, uint32_t param_count,
        const sluice_value* values)
      : host_(host), params_(params), param_count_(param_count), values_(values) {}

  const sluice_host_v1& host() const { return host_; }

  int64_t get_int(const char* name) const { return value(name, SLUICE_INT).i; }
  double get_float(const char* name) const { return value(name, SLUICE_FLOAT).f; }
  bool get_bool(const char* name) const { return value(name, SLUICE_BOOL).i != 0; }
  uint64_t get_duration_ns(const char* name) const {
    return static_cast<uint64_t>(value(name, SLUICE_DURATION).i);
  }
  uint64_t get_bytes(const char* name) const {
    return static_cast<uint64_t>(value(name, SLUICE_BYTES).i);
  }
  const char* get_text(const char* name) const { return value(name, SLUICE_STRING).s; }
  const char* get_choice(const char* name) const { return value(name, SLUICE_CHOICE).s; }

  // Asks for a column; returns the index that Request::integer and the like take. See
  // sluice_host_v1 for the sources.
  uint32_t request_ints(const char* source, int64_t absent) const {
    return known(host_.declare_int(host_.ctx, SLUICE_REQUESTS, source, absent), source);
  }
  uint32_t request_floats(const char* source, double absent) const {
    return known(host_.declare_float(host_.ctx, SLUICE_REQUESTS, source, absent), source);
  }
  uint32_t endpoint_ints(const char* source, int64_t absent) const {
    return known(host_.declare_int(host_.ctx, SLUICE_ENDPOINTS, source, absent), source);
  }
  uint32_t endpoint_floats(const char* source, double absent) const {
    return known(host_.declare_float(host_.ctx, SLUICE_ENDPOINTS, source, absent), source);
  }
  void retain_idle_flows(uint64_t ns) const { host_.retain_idle_flows(host_.ctx, ns); }

 private:
  const sluice_value& value(const char* name, uint32_t type) const {
    for (uint32_t i = 0; i < param_count_; ++i)
      if (params_[i].type == type && std::strcmp(params_[i].name, name) == 0) return values_[i];
    throw std::logic_error(
        "the plugin asks for a parameter that its table does not have, or of another type: " +
        std::string(name));
  }
  static uint32_t known(uint32_t column, const char* source) {
    if (column == SLUICE_NONE)
      throw std::runtime_error("this host does not know the source " + std::string(source));
    return column;
  }

  const sluice_host_v1& host_;
  const sluice_param_v1* params_;
  uint32_t param_count_;
  const sluice_value* values_;
};

}  // namespace sluice
