#include "host/sim_server/batch.h"

#include <iterator>

namespace sluice::sim_server {

void Batch::set_limits(const BatchLimits& limits, TimeNs now) {
  limits_ = limits;
  fill(now);
}

Batch::Admission Batch::submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now) {
  Request request;
  request.prompt = prompt;
  request.output = output;
  if (limits_.kv_tokens != 0 && prompt + output > limits_.kv_tokens) return Admission::kTooLarge;
  if (waiting_.empty() && fits(request)) {
    start(id, request, now);
    return Admission::kAccepted;
  }
  if (limits_.max_waiting != 0 && waiting_.size() >= limits_.max_waiting) {
    return Admission::kQueueFull;
  }
  waiting_.emplace(id, request);
  return Admission::kAccepted;
}

bool Batch::cancel(uint64_t id, TimeNs now) {
  if (auto it = running_.find(id); it != running_.end()) {
    resident_ -= it->second.resident();
    due_.erase({it->second.next, id});
    running_.erase(it);
  } else if (waiting_.erase(id) == 0) {
    return false;
  }
  fill(now);  // a cancelled head may have blocked smaller requests behind it
  return true;
}

void Batch::advance(TimeNs now, std::vector<Token>& out) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const uint64_t id = due_.begin()->second;
    due_.erase(due_.begin());
    if (!make_room_for_token(id)) continue;
    Request& request = running_[id];
    ++request.made;
    ++resident_;
    const bool last = request.made == request.output;
    out.push_back({id, request.made, last});
    if (!last) {
      request.next += limits_.inter_token_latency_ns;
      due_.emplace(request.next, id);
      continue;
    }
    resident_ -= request.resident();
    running_.erase(id);
    fill(now);
  }
}

// A request larger than a limit that was lowered after it came runs alone rather than never.
bool Batch::fits(const Request& request) const {
  if (running_.size() >= limits_.max_num_seqs) return false;
  return limits_.kv_tokens == 0 || running_.empty() ||
         resident_ + request.resident() + 1 <= limits_.kv_tokens;
}

bool Batch::make_room_for_token(uint64_t id) {
  while (limits_.kv_tokens != 0 && resident_ + 1 > limits_.kv_tokens && running_.size() > 1) {
    const auto youngest = std::prev(running_.end());
    const auto [victim, request] = *youngest;
    running_.erase(youngest);
    due_.erase({request.next, victim});
    resident_ -= request.resident();
    ++preemptions_;
    waiting_.emplace(victim, request);
    if (victim == id) return false;
  }
  return true;
}

void Batch::start(uint64_t id, Request request, TimeNs now) {
  request.next = now + limits_.time_to_first_token_ns;
  resident_ += request.resident();
  due_.emplace(request.next, id);
  running_.emplace(id, request);
}

void Batch::fill(TimeNs now) {
  while (!waiting_.empty() && fits(waiting_.begin()->second)) {
    const auto [id, request] = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    start(id, request, now);
  }
}

}  // namespace sluice::sim_server
