#include "core/request_rows.h"

#include <algorithm>

#include "core/flow_table.h"

namespace sluice {
namespace {

template <typename T>
void add_declared(std::vector<std::vector<T>>& columns, const std::vector<T>& values,
                  const std::vector<T>& absent) {
  for (size_t k = 0; k < columns.size(); ++k)
    columns[k].push_back(k < values.size() ? values[k] : absent[k]);
}

template <typename T>
void point(const std::vector<std::vector<T>>& columns, std::vector<const T*>& pointers) {
  pointers.clear();
  for (const auto& column : columns) pointers.push_back(column.data());
}

}  // namespace

RequestRows::RequestRows(const AbsentColumns& absent) : absent_(absent) {
  view_.struct_size = sizeof(view_);
}

void RequestRows::clear() {
  view_.count = 0;
  for (auto* c : {&seq_, &arrival_ns_, &deadline_ns_, &cost_, &bytes_, &flow_hash_, &model_hash_})
    c->clear();
  for (auto* c : {&flow_, &prompt_tokens_, &output_expected_, &output_max_, &cached_tokens_})
    c->clear();
  priority_.clear();
  ints_.resize(absent_.ints.size());
  floats_.resize(absent_.floats.size());
  for (auto& c : ints_) c.clear();
  for (auto& c : floats_) c.clear();
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
  add_declared(ints_, r.ints, absent_.ints);
  add_declared(floats_, r.floats, absent_.floats);
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
  point(ints_, int_columns_);
  point(floats_, float_columns_);
  view_.ints = int_columns_.data();
  view_.floats = float_columns_.data();
  return view_;
}

}  // namespace sluice
