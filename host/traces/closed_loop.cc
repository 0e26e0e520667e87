#include "host/traces/closed_loop.h"

#include <algorithm>

#include "host/traces/limits.h"

namespace sluice::traces {

ClosedLoop::ClosedLoop(const Load& load)
    : to_(load.to), think_(load.think), sent_(load.clients, kNever) {
  for (uint32_t client = 0; client < load.clients; ++client) {
    const double part = static_cast<double>(client) / load.clients;
    const auto wait = static_cast<TimeNs>(part * static_cast<double>(load.think));
    due_.push_back({load.from + wait, client});  // ascending, so already a heap
  }
}

TimeNs ClosedLoop::next_at() const {
  return due_.empty() || due_.front().at >= to_ ? kNever : due_.front().at;
}

uint32_t ClosedLoop::take() {
  std::pop_heap(due_.begin(), due_.end(), later);
  const Due due = due_.back();
  due_.pop_back();
  sent_[due.client] = due.at;
  return due.client;
}

void ClosedLoop::ended(uint32_t client, TimeNs now) {
  if (client >= sent_.size() || sent_[client] == kNever) return;
  due_.push_back({std::max(now + think_, sent_[client] + kClientGapMinNs), client});
  std::push_heap(due_.begin(), due_.end(), later);
  sent_[client] = kNever;
}

}  // namespace sluice::traces
