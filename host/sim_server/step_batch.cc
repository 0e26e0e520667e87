#include "host/sim_server/step_batch.h"

#include <algorithm>

namespace sluice::sim_server {

void StepBatch::set_limits(const BatchLimits& limits, TimeNs now) {
  limits_ = limits;
  if (end_ == kNever) plan(now);
}

Batching::Admission StepBatch::submit(uint64_t id, uint64_t prompt, uint32_t output, TimeNs now) {
  if (limits_.kv_tokens != 0 && prompt + output > limits_.kv_tokens) return Admission::kTooLarge;
  if (limits_.max_waiting != 0 && waiting_.size() >= limits_.max_waiting) {
    return Admission::kQueueFull;
  }
  Request request;
  request.prompt = prompt;
  request.output = output;
  waiting_.emplace_back(id, request);
  if (end_ == kNever) plan(now);
  return Admission::kAccepted;
}

bool StepBatch::cancel(uint64_t id, TimeNs) {
  const auto is_it = [id](const auto& entry) { return entry.first == id; };
  return running_.erase(id) + std::erase_if(waiting_, is_it) != 0;
}

void StepBatch::advance(TimeNs now, std::vector<Token>& out) {
  while (end_ <= now) {
    finish(out);
    plan(end_);
  }
}

uint64_t StepBatch::resident_tokens() const {
  uint64_t sum = 0;
  for (const auto& [id, request] : running_) sum += request.resident();
  return sum;
}

// A request larger than a limit that was lowered after it came runs alone rather than never.
bool StepBatch::fits(const Request& request) const {
  if (running_.size() >= limits_.max_num_seqs) return false;
  const uint64_t kept_free = limits_.kv_tokens / 100;  // vLLM's watermark
  return limits_.kv_tokens == 0 || running_.empty() ||
         resident_tokens() + request.resident() + 1 + kept_free <= limits_.kv_tokens;
}

uint64_t StepBatch::decoding() const {
  const auto decodes = [](const auto& entry) { return entry.second.left == 0; };
  return static_cast<uint64_t>(std::count_if(running_.begin(), running_.end(), decodes));
}

// Until another token fits of each that decodes. Whether somebody had to go.
bool StepBatch::preempt() {
  const uint64_t before = preemptions_;
  while (limits_.kv_tokens != 0 && resident_tokens() + decoding() > limits_.kv_tokens &&
         decoding() > 1) {
    auto newest = running_.end();
    for (auto it = running_.begin(); it != running_.end(); ++it) {
      if (it->second.left != 0) continue;
      if (newest == running_.end() || it->second.joined > newest->second.joined) newest = it;
    }
    waiting_.emplace_front(newest->first, newest->second);
    running_.erase(newest);
    ++preemptions_;
  }
  return preemptions_ != before;
}

// What each prefills in the coming step; and whoever waits, in turn, as far as there is room, if
// NEWCOMERS are let in.
void StepBatch::admit(bool newcomers) {
  uint64_t budget = times_.max_prefill_tokens;
  if (times_.chunked_prefill) budget -= std::min(budget, decoding());
  for (auto& [id, request] : running_) {
    request.chunk = std::min(request.left, budget);
    budget -= request.chunk;
  }
  bool first = true;
  while (newcomers && !waiting_.empty() && budget != 0 && fits(waiting_.front().second)) {
    Request request = waiting_.front().second;
    request.joined = ++joined_;
    request.left = request.resident();
    request.chunk = request.left;
    if (request.chunk > budget) {
      if (times_.chunked_prefill) {
        request.chunk = budget;
      } else if (!first) {
        return;  // alone it goes in one piece, however long
      }
    }
    budget -= std::min(budget, request.chunk);
    first = false;
    running_.emplace(waiting_.front().first, request);
    waiting_.pop_front();
  }
}

void StepBatch::plan(TimeNs start) {
  const bool threw_out = preempt();
  admit(!threw_out);
  uint64_t sequences = 0, context = 0, prefilled = 0;
  for (const auto& [id, request] : running_) {
    prefilled += request.chunk;
    if (request.left != 0) continue;
    ++sequences;
    context += request.resident();
  }
  decodes_ = sequences != 0 && (prefilled == 0 || times_.chunked_prefill);
  if (running_.empty()) {
    end_ = kNever;
    return;
  }
  end_ = start + prefilled * times_.prefill_per_token_ns;
  if (decodes_) {
    end_ +=
        times_.base_ns + sequences * times_.per_sequence_ns + context * times_.per_context_token_ns;
  } else {
    end_ += times_.prefill_base_ns;
  }
}

// Every token of the step comes at its end.
void StepBatch::finish(std::vector<Token>& out) {
  for (auto it = running_.begin(); it != running_.end();) {
    auto& [id, request] = *it;
    const bool prefills = request.left != 0;
    request.left -= std::exchange(request.chunk, 0);
    const bool makes = prefills ? request.left == 0 : decodes_;
    if (makes) {
      ++request.made;
      out.push_back({id, request.made, request.made == request.output});
    }
    it = request.made == request.output ? running_.erase(it) : std::next(it);
  }
}

}  // namespace sluice::sim_server
