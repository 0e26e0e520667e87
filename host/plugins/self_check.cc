#include "host/plugins/self_check.h"

#include <fmt/format.h>
#include <sluice/sluice.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <span>
#include <vector>

#include "host/config/text.h"

namespace sluice::plugins {
namespace {

constexpr uint64_t kNow = 10'000'000'000;
constexpr uint32_t kFlows = 3;  // slots 0 and 2 are ready, 1 is blocked
constexpr uint32_t kRows = 3;   // requests: row i is the head of flow i
constexpr uint32_t kEndpoints = 2;
constexpr uint64_t kReady = 0b101;
constexpr uint64_t kCanary = 0x5ca1ab1e'0ddba11;

// Extra columns: each row holds the value of an absent source.
template <typename T, size_t Rows>
class Extra {
 public:
  explicit Extra(const std::vector<Column<T>>& columns) {
    for (const Column<T>& column : columns) cells_.push_back(std::vector<T>(Rows, column.absent));
    for (const std::vector<T>& cells : cells_) pointers_.push_back(cells.data());
  }
  const T* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::vector<T>> cells_;
  std::vector<const T*> pointers_;
};

// All the tables of one moment. Consistent: what the flows say, the requests say too.
class Scene {
 public:
  explicit Scene(const DeclaredColumns& columns)
      : request_ints_(columns.request_ints),
        request_floats_(columns.request_floats),
        endpoint_ints_(columns.endpoint_ints),
        endpoint_floats_(columns.endpoint_floats) {
    flows_ = {sizeof flows_,
              kFlows,
              2,
              3,
              kNow,
              &ready_,
              status_.data(),
              weight_.data(),
              one_.data(),
              none32_.data(),
              cost_.data(),
              bytes_.data(),
              none64_.data(),
              none64_.data(),
              hash_.data(),
              seq_.data(),
              seq_.data(),
              arrival_.data(),
              cost_.data()};
    requests_ = {sizeof requests_,     kRows,          seq_.data(),      arrival_.data(),
                 deadline_.data(),     cost_.data(),   bytes_.data(),    hash_.data(),
                 hash_.data(),         slot_.data(),   tokens_.data(),   tokens_.data(),
                 none32_.data(),       none32_.data(), priority_.data(), request_ints_.get(),
                 request_floats_.get()};
    band_ = {sizeof band_, 0, kRows, 0, kNow, 600, 3000, 0};
    newcomer_ = requests_;
    newcomer_.count = 1;
    need_ = {sizeof need_, SLUICE_NEED_REQUESTS, 1, 0, 0, 0, 0, &newcomer_};
    endpoints_ = {sizeof endpoints_,     kEndpoints,     slot_.data(),   none32_.data(),
                  limit_.data(),         none32_.data(), none32_.data(), none64_.data(),
                  none64_.data(),        none64_.data(), kv_.data(),     endpoint_ints_.get(),
                  endpoint_floats_.get()};
    pairs_ = {sizeof pairs_, kEndpoints, slot_.data(), none32_.data()};
  }

  const sluice_flows* flows() const { return &flows_; }
  const sluice_requests* requests() const { return &requests_; }
  const sluice_requests* one_request() const { return &newcomer_; }
  const sluice_band* band() const { return &band_; }
  const sluice_need* need() const { return &need_; }
  const sluice_endpoints* endpoints() const { return &endpoints_; }
  const sluice_pairs* pairs() const { return &pairs_; }
  uint64_t seq(uint32_t row) const { return seq_[row]; }

  // TYPES in turn, of each slot that SLOTS has a bit for, as far as MASK wants them.
  std::vector<sluice_event> events(std::initializer_list<uint32_t> types, uint64_t slots,
                                   uint64_t mask) const {
    std::vector<sluice_event> events;
    for (uint32_t type : types)
      for (uint32_t slot = 0; slot < kFlows; ++slot) {
        if ((slots >> slot & 1) == 0 || (mask >> type & 1) == 0) continue;
        sluice_event event{};
        event.type = type;
        event.slot = slot;
        event.time_ns = kNow;
        event.endpoint = SLUICE_NONE;
        if (type >= SLUICE_EV_DISPATCHED) event.seq = seq_[slot];
        if (type == SLUICE_EV_DISPATCHED || type == SLUICE_EV_COMPLETED) {
          event.endpoint = 0;
          event.prompt_tokens = event.output_expected = tokens_[slot];
          event.change = type == SLUICE_EV_DISPATCHED ? static_cast<int64_t>(cost_[slot]) : 0;
        }
        if (type == SLUICE_EV_COMPLETED) {
          event.outcome = SLUICE_OUT_COMPLETED;
          event.output_tokens = tokens_[slot];
        }
        events.push_back(event);
      }
    return events;
  }

 private:
  Extra<int64_t, kRows> request_ints_;
  Extra<double, kRows> request_floats_;
  Extra<int64_t, kEndpoints> endpoint_ints_;
  Extra<double, kEndpoints> endpoint_floats_;

  const uint64_t ready_ = kReady;
  const std::array<uint8_t, kFlows> status_{SLUICE_FLOW_READY, SLUICE_FLOW_BLOCKED,
                                            SLUICE_FLOW_READY};
  const std::array<uint32_t, 3> weight_{1000, 500, 2000}, one_{1, 1, 1}, none32_{}, slot_{0, 1, 2},
      tokens_{50, 100, 150}, limit_{8, 8, 8};
  const std::array<uint64_t, 3> none64_{}, cost_{100, 200, 300}, bytes_{1000, 1000, 1000},
      seq_{1, 2, 3}, hash_{11, 22, 33}, arrival_{kNow - 3000, kNow - 2000, kNow - 1000},
      deadline_{SLUICE_NEVER, kNow * 2, kNow * 3};
  const std::array<int32_t, 3> priority_{};
  const std::array<float, kEndpoints> kv_{0.25F, 0.5F};

  sluice_flows flows_{};
  sluice_requests requests_{}, newcomer_{};
  sluice_band band_{};
  sluice_need need_{};
  sluice_endpoints endpoints_{};
  sluice_pairs pairs_{};
};

class Check {
 public:
  Check(const Policy& policy, Kind kind, const DeclaredColumns& columns)
      : policy_(policy), kind_(kind), scene_(columns), vtable_(policy.find(interface_id(kind))) {}

  std::optional<std::string> run() {
    const sluice_policy_v1& descriptor = policy_.descriptor();
    const char* step = "state_new";
    try {
      if (descriptor.state_new != nullptr) {
        sluice_error error{};
        const sluice_scope scope{
            sizeof scope, kFlows, kEndpoints,  kind_ == Kind::kScoring ? SLUICE_NONE : 0,
            kNow,         1,      "self-check"};
        state_ = descriptor.state_new(policy_.object(), &scope, &error);
        if (state_ == nullptr) return fmt::format("its state_new failed: {}", text_of(error));
      }
      step = "observe";
      observe(scene_.events({SLUICE_EV_FLOW_ADDED, SLUICE_EV_WAITING}, 0b111, descriptor.events));
      observe(scene_.events({SLUICE_EV_BLOCKED}, 0b010, descriptor.events));
      step = main_verb();
      std::optional<std::string> fault = ask();
      step = "observe";
      observe(scene_.events({SLUICE_EV_UNBLOCKED}, 0b010, descriptor.events));
      observe(scene_.events(
          {SLUICE_EV_DISPATCHED, SLUICE_EV_IDLE, SLUICE_EV_COMPLETED, SLUICE_EV_FLOW_REMOVED},
          0b111, descriptor.events));
      step = "state_free";
      if (state_ != nullptr && descriptor.state_free != nullptr)
        descriptor.state_free(policy_.object(), state_);
      return fault;
    } catch (const std::exception& e) {
      return fmt::format("its {} threw an exception: {}", step, config::printable(e.what()));
    } catch (...) {
      return fmt::format("its {} threw an exception", step);
    }
  }

 private:
  static std::string text_of(const sluice_error& error) {
    const size_t length = strnlen(error.text, sizeof error.text);
    return length == 0 ? "it gives no reason"
                       : config::printable(std::string_view(error.text, length));
  }

  const char* main_verb() const {
    switch (kind_) {
      case Kind::kOrdering:
        return "keys";
      case Kind::kScoring:
        return "score";
      default:
        return "pick";
    }
  }

  template <typename Vtable>
  const Vtable& as() const {
    return *static_cast<const Vtable*>(vtable_);
  }

  void observe(const std::vector<sluice_event>& rows) {
    if (rows.empty()) return;
    const sluice_events events{sizeof events, static_cast<uint32_t>(rows.size()), rows.data()};
    const void* object = policy_.object();
    switch (kind_) {
      case Kind::kOrdering:
        if (const auto& v = as<sluice_ordering_v1>(); v.observe != nullptr)
          v.observe(object, state_, &events);
        break;
      case Kind::kFairness:
        if (const auto& v = as<sluice_fairness_v1>(); v.observe != nullptr)
          v.observe(object, state_, scene_.flows(), &events);
        break;
      case Kind::kEviction:
        if (const auto& v = as<sluice_eviction_v1>(); v.observe != nullptr)
          v.observe(object, state_, scene_.flows(), &events);
        break;
      case Kind::kScoring:
        if (const auto& v = as<sluice_scoring_v1>(); v.observe != nullptr)
          v.observe(object, state_, scene_.endpoints(), &events);
        break;
    }
  }

  std::optional<std::string> ask() {
    switch (kind_) {
      case Kind::kOrdering:
        return ask_keys(as<sluice_ordering_v1>().keys);
      case Kind::kFairness:
        return ask_fairness();
      case Kind::kEviction:
        return ask_eviction();
      case Kind::kScoring:
        return ask_score();
    }
    return std::nullopt;
  }

  template <typename Keys>
  std::optional<std::string> ask_keys(Keys keys) {
    std::array<uint64_t, kRows + 1> out{};
    for (uint32_t i = 0; i < kRows; ++i) out[i] = scene_.seq(i);
    out[kRows] = kCanary;
    keys(policy_.object(), state_, scene_.requests(), scene_.band(), out.data());
    if (out[kRows] != kCanary)
      return fmt::format("its keys wrote behind the {} rows that it was given", kRows);
    return std::nullopt;
  }

  std::optional<std::string> ask_fairness() {
    const auto& vtable = as<sluice_fairness_v1>();
    std::array<uint32_t, 2> slots{};
    for (uint32_t& slot : slots) {
      uint64_t retry_ns = SLUICE_NEVER;
      slot = vtable.pick(policy_.object(), state_, scene_.flows(), &retry_ns);
    }
    if (slots[0] == SLUICE_NONE && (policy_.descriptor().flags & SLUICE_MAY_IDLE) != 0)
      return std::nullopt;
    if (slots[0] == SLUICE_NONE)
      return "its pick answered SLUICE_NONE while flows were ready, and it does not set "
             "SLUICE_MAY_IDLE";
    if (slots[0] >= kFlows || (kReady >> slots[0] & 1) == 0)
      return fmt::format("its pick answered slot {}, which is not ready (0 and 2 were)", slots[0]);
    if (slots[1] != slots[0])
      return fmt::format(
          "its pick answered slot {} and then {}, though nothing had happened between", slots[0],
          slots[1]);
    return std::nullopt;
  }

  std::optional<std::string> ask_eviction() {
    const auto& vtable = as<sluice_eviction_v1>();
    const uint32_t slot =
        vtable.pick(policy_.object(), state_, scene_.flows(), scene_.band(), scene_.need());
    if (slot != SLUICE_NONE && slot >= kFlows)
      return fmt::format("its pick answered slot {}; there were {}", slot, kFlows);
    if (slot == SLUICE_NONE || vtable.keys == nullptr) return std::nullopt;
    return ask_keys(vtable.keys);
  }

  std::optional<std::string> ask_score() {
    constexpr float kFloatCanary = 12345.0F;
    std::array<float, kEndpoints + 1> out{};
    out[kEndpoints] = kFloatCanary;
    as<sluice_scoring_v1>().score(policy_.object(), state_, scene_.one_request(),
                                  scene_.endpoints(), scene_.pairs(), out.data());
    if (out[kEndpoints] != kFloatCanary)
      return fmt::format("its score wrote behind the {} rows that it was given", kEndpoints);
    for (uint32_t i = 0; i < kEndpoints; ++i)
      if (!std::isfinite(out[i]))
        return fmt::format("its score answered {} for an endpoint; 0 .. 1 is legal", out[i]);
    return std::nullopt;
  }

  const Policy& policy_;
  const Kind kind_;
  const Scene scene_;
  const void* const vtable_;
  void* state_ = nullptr;
};

}  // namespace

std::optional<std::string> self_check(const Policy& policy, Kind kind,
                                      const DeclaredColumns& columns) {
  return Check(policy, kind, columns).run();
}

}  // namespace sluice::plugins
