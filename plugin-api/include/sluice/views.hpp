// views.hpp: the tables of tables.h and scoring.h as C++ views.
//
// A view borrows the host's table: it is made for one call and must not be kept. Columns come with
// their length; a column that the host left out is empty. Rows are small copies of (table, index).
// Threads: as the call that handed it in. Allocates nothing.
#pragma once

#include <cassert>

#include <sluice/helpers.h>
#include <sluice/sluice.h>

namespace sluice {

// A run of values that the host owns.
template <typename T>
class Column {
 public:
  constexpr Column(T* data, uint32_t size) : data_(data), size_(data == nullptr ? 0 : size) {}
  constexpr uint32_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T* begin() const { return data_; }
  constexpr T* end() const { return data_ + size_; }
  constexpr T& operator[](uint32_t i) const {
    assert(i < size_);
    return data_[i];
  }

 private:
  T* data_;
  uint32_t size_;
};

// The ready slots of a band, ascending: for (uint32_t slot : flows.ready()).
class ReadySlots {
 public:
  class Iterator {
   public:
    Iterator(const sluice_flows* flows, uint32_t slot) : flows_(flows), slot_(slot) {}
    uint32_t operator*() const { return slot_; }
    Iterator& operator++() {
      slot_ = sluice_next_ready(flows_, slot_ + 1);
      return *this;
    }
    bool operator!=(const Iterator& other) const { return slot_ != other.slot_; }

   private:
    const sluice_flows* flows_;
    uint32_t slot_;
  };

  explicit ReadySlots(const sluice_flows* flows) : flows_(flows) {}
  Iterator begin() const { return {flows_, sluice_next_ready(flows_, 0)}; }
  Iterator end() const { return {flows_, SLUICE_NONE}; }

 private:
  const sluice_flows* flows_;
};

// The flows of a band; every column is indexed by slot.
class Flows {
 public:
  explicit Flows(const sluice_flows& raw) : raw_(raw) {}
  const sluice_flows& raw() const { return raw_; }

  uint32_t slots() const { return raw_.slots; }
  uint32_t ready_count() const { return raw_.ready_count; }
  uint32_t waiting_count() const { return raw_.waiting_count; }
  uint64_t now_ns() const { return raw_.now_ns; }

  ReadySlots ready() const { return ReadySlots(&raw_); }
  bool is_ready(uint32_t slot) const {
    return slot < raw_.slots && (raw_.ready_bits[slot / 64] >> (slot % 64) & 1) != 0;
  }
  // Ready or blocked.
  bool is_waiting(uint32_t slot) const {
    return slot < raw_.slots && raw_.status[slot] >= SLUICE_FLOW_BLOCKED;
  }
  // The ready slot whose head the ordering puts first, the older one if equal; O(slots).
  uint32_t first_ready() const {
    uint32_t best = SLUICE_NONE;
    for (const uint32_t slot : ready()) {
      if (best == SLUICE_NONE || raw_.head_key[slot] < raw_.head_key[best] ||
          (raw_.head_key[slot] == raw_.head_key[best] &&
           raw_.head_seq[slot] < raw_.head_seq[best])) {
        best = slot;
      }
    }
    return best;
  }

  // What SLOT holds of what a full queue lacks (SLUICE_NEED_*): requests or bytes.
  uint64_t held(uint32_t slot, uint32_t reason) const {
    return reason == SLUICE_NEED_BYTES ? raw_.parked_bytes[slot] : raw_.parked[slot];
  }
  // The slot that holds most of it, among those with a parked request; of equal ones that whose
  // head came later. O(slots), in two passes over one column.
  uint32_t largest(uint32_t reason) const {
    return reason == SLUICE_NEED_BYTES ? largest_in(raw_.parked_bytes) : largest_in(raw_.parked);
  }

  Column<const uint8_t> status() const { return {raw_.status, raw_.slots}; }
  Column<const uint32_t> weight_milli() const { return {raw_.weight_milli, raw_.slots}; }
  Column<const uint32_t> parked() const { return {raw_.parked, raw_.slots}; }
  Column<const uint32_t> inflight() const { return {raw_.inflight, raw_.slots}; }
  Column<const uint64_t> parked_cost() const { return {raw_.parked_cost, raw_.slots}; }
  Column<const uint64_t> parked_bytes() const { return {raw_.parked_bytes, raw_.slots}; }
  Column<const uint64_t> inflight_cost() const { return {raw_.inflight_cost, raw_.slots}; }
  Column<const uint64_t> served_cost() const { return {raw_.served_cost, raw_.slots}; }
  Column<const uint64_t> hash() const { return {raw_.hash, raw_.slots}; }
  Column<const uint64_t> head_key() const { return {raw_.head_key, raw_.slots}; }
  Column<const uint64_t> head_seq() const { return {raw_.head_seq, raw_.slots}; }
  Column<const uint64_t> head_arrival_ns() const { return {raw_.head_arrival_ns, raw_.slots}; }
  Column<const uint64_t> head_cost() const { return {raw_.head_cost, raw_.slots}; }

 private:
  template <typename T>
  uint32_t largest_in(const T* column) const {
    T most = 0;
    for (uint32_t slot = 0; slot < raw_.slots; ++slot)
      most = column[slot] > most ? column[slot] : most;
    uint32_t found = SLUICE_NONE;
    for (uint32_t slot = 0; slot < raw_.slots; ++slot) {
      if (column[slot] != most || raw_.parked[slot] == 0) continue;
      if (found == SLUICE_NONE || raw_.head_seq[slot] > raw_.head_seq[found]) found = slot;
    }
    return found;
  }

  const sluice_flows& raw_;
};

// One request. A declared column is read by the index that its declaration gave.
class Request {
 public:
  Request(const sluice_requests& raw, uint32_t row) : raw_(raw), row_(row) {}
  uint64_t seq() const { return raw_.seq[row_]; }
  uint64_t arrival_ns() const { return raw_.arrival_ns[row_]; }
  uint64_t deadline_ns() const { return raw_.deadline_ns[row_]; }
  uint64_t cost() const { return raw_.cost[row_]; }
  uint64_t bytes() const { return raw_.bytes[row_]; }
  uint64_t flow_hash() const { return raw_.flow_hash[row_]; }
  uint64_t model_hash() const { return raw_.model_hash[row_]; }
  uint32_t flow() const { return raw_.flow[row_]; }
  uint32_t prompt_tokens() const { return raw_.prompt_tokens[row_]; }
  uint32_t output_expected() const { return raw_.output_expected[row_]; }
  uint32_t output_max() const { return raw_.output_max[row_]; }
  uint32_t cached_tokens() const {
    return raw_.cached_tokens == nullptr ? 0 : raw_.cached_tokens[row_];
  }
  int32_t priority() const { return raw_.priority[row_]; }
  int64_t integer(uint32_t column) const { return raw_.ints[column][row_]; }
  double number(uint32_t column) const { return raw_.floats[column][row_]; }

 private:
  const sluice_requests& raw_;
  uint32_t row_;
};

// The endpoints of the pool; every column is indexed by row, not by slot.
class Endpoints {
 public:
  explicit Endpoints(const sluice_endpoints& raw) : raw_(raw) {}
  const sluice_endpoints& raw() const { return raw_; }
  uint32_t size() const { return raw_.count; }

  Column<const uint32_t> slot() const { return {raw_.slot, raw_.count}; }
  Column<const uint32_t> inflight() const { return {raw_.inflight, raw_.count}; }
  Column<const uint32_t> limit() const { return {raw_.limit, raw_.count}; }
  Column<const uint32_t> waiting() const { return {raw_.waiting, raw_.count}; }
  Column<const uint32_t> running() const { return {raw_.running, raw_.count}; }
  Column<const uint64_t> inflight_cost() const { return {raw_.inflight_cost, raw_.count}; }
  Column<const uint64_t> kv_tokens_max() const { return {raw_.kv_tokens_max, raw_.count}; }
  Column<const uint64_t> metrics_age_ns() const { return {raw_.metrics_age_ns, raw_.count}; }
  // Whether its scraped columns mean anything.
  bool known(uint32_t row) const { return raw_.metrics_age_ns[row] != SLUICE_NEVER; }
  Column<const float> kv_used() const { return {raw_.kv_used, raw_.count}; }
  Column<const int64_t> integers(uint32_t column) const { return {raw_.ints[column], raw_.count}; }
  Column<const double> numbers(uint32_t column) const { return {raw_.floats[column], raw_.count}; }

 private:
  const sluice_endpoints& raw_;
};

// The endpoints that one request may use now: pair i is the request with row endpoint(i) of the
// endpoints.
class Pairs {
 public:
  explicit Pairs(const sluice_pairs& raw) : raw_(raw) {}
  uint32_t size() const { return raw_.count; }
  uint32_t endpoint(uint32_t i) const { return raw_.endpoint[i]; }
  uint32_t cached_tokens(uint32_t i) const {
    return raw_.cached_tokens == nullptr ? 0 : raw_.cached_tokens[i];
  }

 private:
  const sluice_pairs& raw_;
};

using Scores = Column<float>;  // one a pair, 0 .. 1; holds 0 until written

// Gives the pairs whose endpoint's scraped columns are unknown the mean score of the others, so that
// they neither attract nor repel; 1 if all are unknown.
inline void level_unknown(const Endpoints& endpoints, const Pairs& pairs, Scores out) {
  uint32_t unknown = 0;
  for (uint32_t i = 0; i < pairs.size(); ++i) unknown += !endpoints.known(pairs.endpoint(i));
  if (unknown == 0) return;  // as a rule
  float sum = 0;
  for (uint32_t i = 0; i < pairs.size(); ++i)
    if (endpoints.known(pairs.endpoint(i))) sum += out[i];
  const uint32_t known = pairs.size() - unknown;
  const float mean = known == 0 ? 1.0F : sum / static_cast<float>(known);
  for (uint32_t i = 0; i < pairs.size(); ++i)
    if (!endpoints.known(pairs.endpoint(i))) out[i] = mean;
}

using Event = sluice_event;
using Band = sluice_band;
using Need = sluice_need;
using Scope = sluice_scope;

}  // namespace sluice
