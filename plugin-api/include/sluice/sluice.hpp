// sluice.hpp: policies as plain C++ structs. One struct with one method and one macro is a complete
// plugin:
//
//   struct Oldest {
//     static constexpr sluice::Info info{"oldest", "The flow whose head came first."};
//     uint32_t pick(const sluice::Flows& flows) const { return flows.first_ready(); }
//   };
//   SLUICE_PLUGIN("com.example.oldest", "0.1.0", "Apache-2.0", sluice::fairness<Oldest>);
//
// A policy P is described by
//   static constexpr sluice::Info info               name and summary
//   static constexpr sluice_param_v1 params[]        optional; see setup.hpp
//   static constexpr uint64_t flags, inputs          optional; SLUICE_MAY_IDLE; SLUICE_IN_PREFIX
//   static constexpr uint64_t events                 sluice::event_mask(...); with observe only
//   explicit P(const sluice::Setup&)                 optional; reads parameters, declares columns,
//                                                    throws to refuse
//   struct State                                     optional; one a band (scoring: one); made from
//                                                    (const P&, const Scope&), (const Scope&) or
//                                                    nothing; allocate here and only here
// and does, with `State& state` put first in observe and `const State& state` put first elsewhere
// if it has a State,
//   void observe(const Flows&, const Event&) const                            optional, needs State
//     ordering: (const Event&); scoring: (const Endpoints&, const Event&)
//   ordering  uint64_t key(const Request&, const Band&) const
//   fairness  uint32_t pick(const Flows&) const
//     with SLUICE_MAY_IDLE: (const Flows&, uint64_t& retry_ns)
//   eviction  uint32_t pick(const Flows&, const Band&, const Need&) const
//     and optionally, as ordering, key
//   scoring   void score(const Request&, const Endpoints&, const Pairs&, Scores out) const
// State is const in all but observe, so a policy whose pick changes it does not compile.
//
// No exception leaves the plugin: create and state_new turn it into a refusal; a hot call tells the
// host, which counts it as a fault and does without the answer. Language: C++17. Allocates in create
// and state_new only.
#pragma once

#include <sluice/thunks.hpp>

namespace sluice {

struct Info {
  const char* name;     // what pipeline.toml says after the package; [a-z0-9-]
  const char* summary;  // one sentence
};

// The bits of events that observe wants: event_mask(SLUICE_EV_WAITING, SLUICE_EV_DISPATCHED).
template <typename... Types>
constexpr uint64_t event_mask(Types... types) {
  return ((uint64_t{1} << types) | ...);
}

#pragma GCC visibility push(hidden)
namespace detail {

template <typename P>
constexpr sluice_ordering_v1 ordering_vtable() {
  sluice_ordering_v1 table{nullptr, keys<P>};
  if constexpr (has_observe<P>) table.observe = observe_requests<P>;
  return table;
}
template <typename P>
constexpr sluice_fairness_v1 fairness_vtable() {
  sluice_fairness_v1 table{nullptr, pick_flow<P>};
  if constexpr (has_observe<P>) table.observe = observe_flows<P>;
  return table;
}
template <typename P>
constexpr sluice_eviction_v1 eviction_vtable() {
  sluice_eviction_v1 table{nullptr, pick_loser<P>, nullptr};
  if constexpr (has_observe<P>) table.observe = observe_flows<P>;
  if constexpr (has_key<P>) table.keys = keys<P>;
  return table;
}
template <typename P>
constexpr sluice_scoring_v1 scoring_vtable() {
  sluice_scoring_v1 table{nullptr, score<P>};
  if constexpr (has_observe<P>) table.observe = observe_endpoints<P>;
  return table;
}

template <typename P>
inline constexpr sluice_ordering_v1 ordering_table = ordering_vtable<P>();
template <typename P>
inline constexpr sluice_fairness_v1 fairness_table = fairness_vtable<P>();
template <typename P>
inline constexpr sluice_eviction_v1 eviction_table = eviction_vtable<P>();
template <typename P>
inline constexpr sluice_scoring_v1 scoring_table = scoring_vtable<P>();

constexpr const char* id_of(const sluice_ordering_v1&) { return SLUICE_ORDERING_ID; }
constexpr const char* id_of(const sluice_fairness_v1&) { return SLUICE_FAIRNESS_ID; }
constexpr const char* id_of(const sluice_eviction_v1&) { return SLUICE_EVICTION_ID; }
constexpr const char* id_of(const sluice_scoring_v1&) { return SLUICE_SCORING_ID; }

template <const auto& Table>
inline constexpr sluice_interface interfaces[] = {{id_of(Table), &Table}, {nullptr, nullptr}};

template <typename P>
constexpr sluice_policy_v1 describe(const sluice_interface* interfaces) {
  sluice_policy_v1 policy{sizeof(sluice_policy_v1),
                          param_count<P>(),
                          flags<P>(),
                          inputs<P>(),
                          events<P>(),
                          P::info.name,
                          P::info.summary,
                          interfaces,
                          params<P>(),
                          create<P>,
                          destroy<P>,
                          nullptr,
                          nullptr};
  if constexpr (has_state<P>) {
    policy.state_new = state_new<P>;
    policy.state_free = state_free<P>;
  }
  return policy;
}

template <const sluice_policy_v1&... Policies>
inline constexpr const sluice_policy_v1* policy_list[] = {&Policies..., nullptr};

}  // namespace detail
#pragma GCC visibility pop

// The descriptor of P as a policy of one kind.
template <typename P>
[[gnu::visibility("hidden")]] inline constexpr sluice_policy_v1 ordering =
    detail::describe<P>(detail::interfaces<detail::ordering_table<P>>);
template <typename P>
[[gnu::visibility("hidden")]] inline constexpr sluice_policy_v1 fairness =
    detail::describe<P>(detail::interfaces<detail::fairness_table<P>>);
template <typename P>
[[gnu::visibility("hidden")]] inline constexpr sluice_policy_v1 eviction =
    detail::describe<P>(detail::interfaces<detail::eviction_table<P>>);
template <typename P>
[[gnu::visibility("hidden")]] inline constexpr sluice_policy_v1 scoring =
    detail::describe<P>(detail::interfaces<detail::scoring_table<P>>);

}  // namespace sluice

// The plugin's one export: PACKAGE ("com.example.fair"), VERSION ("0.3.1"), LICENSE (an SPDX id),
// then the policies: sluice::fairness<A>, sluice::ordering<B>, ... A const needs the declaration in
// front to be exported at all.
#define SLUICE_PLUGIN(PACKAGE, VERSION, LICENSE, ...)                                        \
  extern "C" {                                                                               \
  extern __attribute__((visibility("default"))) const sluice_entry_v1 sluice_plugin_v0;      \
  constexpr sluice_entry_v1 sluice_plugin_v0 = {sizeof(sluice_entry_v1),                     \
                                                SLUICE_ABI_MINOR,                            \
                                                SLUICE_ABI_MINOR,                            \
                                                PACKAGE,                                     \
                                                VERSION,                                     \
                                                LICENSE,                                     \
                                                ::sluice::detail::policy_list<__VA_ARGS__>}; \
  }                                                                                          \
  static_assert(sizeof(PACKAGE) > 1 && sizeof(VERSION) > 1, "package or version is missing")
