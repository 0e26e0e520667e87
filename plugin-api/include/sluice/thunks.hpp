// thunks.hpp: between the C vtables and a C++ policy: what a policy has, its lifecycle, its calls.
// See sluice.hpp.
//
// Every function is noexcept and catches everything. Threads and ownership: as the C functions they
// stand for.
#pragma once

#include <cstdio>
#include <exception>
#include <iterator>
#include <type_traits>
#include <utility>

#include <sluice/setup.hpp>
#include <sluice/views.hpp>

namespace sluice {

// Hidden, so that two plugins that use one name never share a descriptor.
#pragma GCC visibility push(hidden)
namespace detail {

// ---- what a policy has ----

template <typename P, typename = void>
struct StateOf {
  using Type = void;
};
template <typename P>
struct StateOf<P, std::void_t<typename P::State>> {
  using Type = typename P::State;
};
template <typename P>
inline constexpr bool has_state = !std::is_void_v<typename StateOf<P>::Type>;

#define SLUICE_DETAIL_HAS(NAME)             \
  template <typename P, typename = void>    \
  inline constexpr bool has_##NAME = false; \
  template <typename P>                     \
  inline constexpr bool has_##NAME<P, std::void_t<decltype(&P::NAME)>> = true;
SLUICE_DETAIL_HAS(params)
SLUICE_DETAIL_HAS(flags)
SLUICE_DETAIL_HAS(inputs)
SLUICE_DETAIL_HAS(events)
SLUICE_DETAIL_HAS(observe)
SLUICE_DETAIL_HAS(key)
#undef SLUICE_DETAIL_HAS

template <typename P>
constexpr uint32_t param_count() {
  if constexpr (has_params<P>) return static_cast<uint32_t>(std::size(P::params));
  return 0;
}
template <typename P>
constexpr const sluice_param_v1* params() {
  if constexpr (has_params<P>) return P::params;
  return nullptr;
}
template <typename P>
constexpr uint64_t flags() {
  if constexpr (has_flags<P>) return P::flags;
  return 0;
}
template <typename P>
constexpr uint64_t inputs() {
  if constexpr (has_inputs<P>) return P::inputs;
  return 0;
}
template <typename P>
constexpr uint64_t events() {
  static_assert(has_events<P> == has_observe<P>,
                "observe and the events that it wants go together");
  static_assert(!has_observe<P> || has_state<P>, "observe needs a State to put what it learns");
  if constexpr (has_events<P>) return P::events;
  return 0;
}

// ---- lifecycle ----

// What create returns: the policy, and how to complain.
template <typename P>
struct Object {
  explicit Object(const Setup& setup) : host(setup.host()), policy(make(setup)) {}
  static P make(const Setup& setup) {
    if constexpr (std::is_constructible_v<P, const Setup&>) {
      return P(setup);
    } else {
      return P{};
    }
  }

  const sluice_host_v1& host;
  const P policy;
};

inline void refuse(sluice_error* error, const char* why) {
  if (error != nullptr) std::snprintf(error->text, sizeof(error->text), "%s", why);
}

// From inside a catch block: what was thrown.
inline const char* thrown() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();  // the exception outlives this: the caller's handler holds it
  } catch (...) {
    return "something that is not a std::exception";
  }
}

// From inside a catch block: CALL has failed.
template <typename P>
void complain(const void* policy, const char* call) {
  const sluice_host_v1& host = static_cast<const Object<P>*>(policy)->host;
  char text[160];
  const int n = std::snprintf(text, sizeof(text), "%s threw: %s", call, thrown());
  if (n < 0) return;
  const size_t size =
      static_cast<size_t>(n) < sizeof(text) ? static_cast<size_t>(n) : sizeof(text) - 1;
  host.fault(host.ctx, text, size);
}

template <typename P>
void* create(const sluice_host_v1* host, const sluice_value* values, uint32_t n,
             sluice_error* error) noexcept {
  try {
    if (n != param_count<P>()) {
      refuse(error, "the host passed another number of parameters than the table has");
      return nullptr;
    }
    return new Object<P>(Setup(*host, params<P>(), n, values));
  } catch (...) {
    refuse(error, thrown());
    return nullptr;
  }
}

template <typename P>
void destroy(void* policy) noexcept {
  delete static_cast<Object<P>*>(policy);
}

template <typename P>
void* state_new(const void* policy, const sluice_scope* scope, sluice_error* error) noexcept {
  using State = typename P::State;
  try {
    if constexpr (std::is_constructible_v<State, const P&, const Scope&>) {
      return new State(static_cast<const Object<P>*>(policy)->policy, *scope);
    } else if constexpr (std::is_constructible_v<State, const Scope&>) {
      return new State(*scope);
    } else {
      return new State();
    }
  } catch (...) {
    refuse(error, thrown());
    return nullptr;
  }
}

template <typename P>
void state_free(const void*, void* state) noexcept {
  delete static_cast<typename P::State*>(state);
}

// ---- calls ----

// CALL(policy, state...) with the policy's state, const or not, if it has one.
template <typename P, typename Call>
auto ask(const void* policy, void* state, Call call) {
  const P& p = static_cast<const Object<P>*>(policy)->policy;
  if constexpr (has_state<P>) {
    return call(p, std::as_const(*static_cast<typename P::State*>(state)));
  } else {
    return call(p);
  }
}

// True if the table reaches at least to the end of its first version, for which no field need be
// asked for.
template <typename Table>
bool whole(const Table* table) {
  return table->struct_size >= sizeof(Table);
}

template <typename P, typename Tell>
void each_event(const void* policy, void* state, const sluice_events* events, Tell tell) {
  if (!whole(events)) return;
  const P& p = static_cast<const Object<P>*>(policy)->policy;
  for (uint32_t i = 0; i < events->count; ++i) {
    try {
      tell(p, *static_cast<typename P::State*>(state), events->row[i]);
    } catch (...) {
      complain<P>(policy, "observe");
    }
  }
}

template <typename P>
void observe_flows(const void* policy, void* state, const sluice_flows* flows,
                   const sluice_events* events) noexcept {
  if (!whole(flows)) return;
  each_event<P>(policy, state, events, [flows](const P& p, auto& own, const Event& event) {
    if (event.slot < flows->slots) p.observe(own, Flows(*flows), event);
  });
}

template <typename P>
void observe_requests(const void* policy, void* state, const sluice_events* events) noexcept {
  each_event<P>(policy, state, events,
                [](const P& p, auto& own, const Event& event) { p.observe(own, event); });
}

template <typename P>
void observe_endpoints(const void* policy, void* state, const sluice_endpoints* endpoints,
                       const sluice_events* events) noexcept {
  if (!whole(endpoints)) return;
  each_event<P>(policy, state, events, [endpoints](const P& p, auto& own, const Event& event) {
    p.observe(own, Endpoints(*endpoints), event);
  });
}

template <typename P>
void keys(const void* policy, void* state, const sluice_requests* requests, const sluice_band* band,
          uint64_t* out) noexcept {
  if (!whole(requests) || !whole(band)) return;
  try {
    for (uint32_t i = 0; i < requests->count; ++i) {
      out[i] = ask<P>(policy, state, [&](const P& p, const auto&... own) {
        return p.key(own..., Request(*requests, i), *band);
      });
    }
  } catch (...) {
    complain<P>(policy, "key");
  }
}

template <typename P>
uint32_t pick_flow(const void* policy, void* state, const sluice_flows* flows,
                   uint64_t* retry_ns) noexcept {
  if (!whole(flows)) return SLUICE_NONE;
  try {
    return ask<P>(policy, state, [&](const P& p, const auto&... own) -> uint32_t {
      if constexpr ((flags<P>() & SLUICE_MAY_IDLE) != 0) {
        return p.pick(own..., Flows(*flows), *retry_ns);
      } else {
        static_cast<void>(retry_ns);
        return p.pick(own..., Flows(*flows));
      }
    });
  } catch (...) {
    complain<P>(policy, "pick");
    return SLUICE_NONE;
  }
}

template <typename P>
uint32_t pick_loser(const void* policy, void* state, const sluice_flows* flows,
                    const sluice_band* band, const sluice_need* need) noexcept {
  if (!whole(flows) || !whole(band) || !whole(need)) return SLUICE_NONE;
  try {
    return ask<P>(policy, state, [&](const P& p, const auto&... own) -> uint32_t {
      return p.pick(own..., Flows(*flows), *band, *need);
    });
  } catch (...) {
    complain<P>(policy, "pick");
    return SLUICE_NONE;
  }
}

template <typename P>
void score(const void* policy, void* state, const sluice_requests* requests,
           const sluice_endpoints* endpoints, const sluice_pairs* pairs, float* out) noexcept {
  if (!whole(requests) || !whole(endpoints) || !whole(pairs) || requests->count == 0) return;
  try {
    ask<P>(policy, state, [&](const P& p, const auto&... own) {
      p.score(own..., Request(*requests, 0), Endpoints(*endpoints), Pairs(*pairs),
              Scores(out, pairs->count));
    });
  } catch (...) {
    complain<P>(policy, "score");
  }
}

}  // namespace detail
#pragma GCC visibility pop
}  // namespace sluice
