#include "core/request_rows.h"

#include <algorithm>

#include "core/flow_table.h"

namespace sluice {

RequestRows::RequestRows(const AbsentColumns& absent) : ints_(absent.ints), floats_(absent.floats) {
  view_.struct_size = sizeof(view_);
}

void RequestRows::clear() {
  view_.count = 0;
  for (auto* c : {&seq_, &arrival_ns_, &deadline_ns_, &cost_, &bytes_, &flow_hash_, &model_hash_})
    c->clear();
  for (auto* c : {&flow_, &prompt_tokens_, &output_expected_, &output_max_, &cached_tokens_})
    c->clear();
  priority_.clear();
  ints_.clear();
  floats_.clear();
}

void RequestRows::add(const Request& r, uint64_t flow_hash, int32_t priority,
                      uint32_t cached_tokens) {
  seq_.push_back(r.id.seq);
  arrival_ns_.push_back(r.arrival_ns);
  deadline_ns_.push_back(r.nominal_deadline);
  cost_.push_back(r.cost);
  bytes_.push_back(r.bytes);
  flow_hash_.push_back(flow_hash);
  model_hash_.push_back(r.model_hash);
  flow_.push_back(r.flow->slot);
  prompt_tokens_.push_back(r.prompt_tokens);
  output_expected_.push_back(r.output_expected);
  output_max_.push_back(static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{r.output_max} * std::max(r.choices, 1u), UINT32_MAX)));
  cached_tokens_.push_back(cached_tokens);
  priority_.push_back(priority);
  ints_.add(r.ints);
  floats_.add(r.floats);
  ++view_.count;
}

const sluice_requests& RequestRows::view(bool cached) {
  view_.seq = seq_.data();
  view_.arrival_ns = arrival_ns_.data();
  view_.deadline_ns = deadline_ns_.data();
  view_.cost = cost_.data();
  view_.bytes = bytes_.data();
  view_.flow_hash = flow_hash_.data();
  view_.model_hash = model_hash_.data();
  view_.flow = flow_.data();
  view_.prompt_tokens = prompt_tokens_.data();
  view_.output_expected = output_expected_.data();
  view_.output_max = output_max_.data();
  view_.cached_tokens = cached ? cached_tokens_.data() : nullptr;
  view_.priority = priority_.data();
  view_.ints = ints_.view();
  view_.floats = floats_.view();
  return view_;
}

}  // namespace sluice
