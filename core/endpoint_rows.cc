#include "core/endpoint_rows.h"

#include <algorithm>

namespace sluice {

EndpointRows::EndpointRows(const AbsentColumns& absent)
    : ints_(absent.ints), floats_(absent.floats) {
  view_.struct_size = sizeof(view_);
}

void EndpointRows::begin(uint32_t slots) {
  row_of_.assign(slots, kNone);
  for (auto* c : {&slot_, &inflight_, &limit_, &waiting_, &running_}) c->clear();
  for (auto* c : {&inflight_cost_, &kv_tokens_max_, &metrics_age_ns_, &taken_ns_, &never_})
    c->clear();
  kv_used_.clear();
  ints_.clear();
  floats_.clear();
}

void EndpointRows::add(uint32_t slot, const Own& own, const EndpointReport& report, TimeNs now) {
  row_of_[slot] = static_cast<uint32_t>(slot_.size());
  slot_.push_back(slot);
  inflight_.push_back(own.in_flight);
  limit_.push_back(own.limit);
  inflight_cost_.push_back(own.cost);
  waiting_.push_back(report.waiting);
  running_.push_back(report.running);
  kv_tokens_max_.push_back(report.kv_tokens_max);
  metrics_age_ns_.push_back(0);
  taken_ns_.push_back(std::min(report.taken_ns, now));
  never_.push_back(report.taken_ns != 0 ? 0 : SLUICE_NEVER);
  kv_used_.push_back(report.kv_used);
  ints_.add(report.ints);
  floats_.add(report.floats);
}

void EndpointRows::end() {
  view_.count = static_cast<uint32_t>(slot_.size());
  view_.slot = slot_.data();
  view_.inflight = inflight_.data();
  view_.limit = limit_.data();
  view_.waiting = waiting_.data();
  view_.running = running_.data();
  view_.inflight_cost = inflight_cost_.data();
  view_.kv_tokens_max = kv_tokens_max_.data();
  view_.metrics_age_ns = metrics_age_ns_.data();
  view_.kv_used = kv_used_.data();
  view_.ints = ints_.view();
  view_.floats = floats_.view();
  built_ = true;
}

void EndpointRows::set(uint32_t slot, const Own& own) {
  const uint32_t row = built_ && slot < row_of_.size() ? row_of_[slot] : kNone;
  if (row == kNone) return;
  limit_[row] = own.limit;
  inflight_[row] = own.in_flight;
  inflight_cost_[row] = own.cost;
}

const sluice_endpoints& EndpointRows::view(TimeNs now) {
  for (uint32_t i = 0; i < view_.count; ++i) metrics_age_ns_[i] = (now - taken_ns_[i]) | never_[i];
  return view_;
}

}  // namespace sluice
