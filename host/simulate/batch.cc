// Who is in the batch of a model server: letting in, ending, throwing out; model_server.cc has the
// steps.
#include <algorithm>

#include "host/simulate/model_server.h"

namespace sluice::simulate {

bool ModelServer::may_prefill() const {
  return running_ == 0 || step_ - last_prefill_ >= model_.steps_between_prefills;
}

// Lets in whoever waits, in turn, as far as there is room; the first that does not fit keeps back
// the others. Ghosts keep nobody back.
void ModelServer::admit() {
  if (waiting_.empty() && ghost_queue_.empty() && prefilling_.empty()) return;
  uint32_t budget = model_.max_prefill_tokens;
  bool first = prefilling_.empty();
  if (model_.chunked_prefill) {
    budget -= std::min(budget, running_);
    for (Sequence& s : prefilling_) {
      s.chunk = std::min(s.tokens() - s.cached - s.prefilled, budget);
      budget -= s.chunk;
    }
    first = false;
  } else if (!may_prefill()) {
    return;
  }
  if (threw_out_) return;
  while (!waiting_.empty()) {
    Sequence& head = waiting_.front();
    admit_ghosts(head.order, budget, first);
    if (model_.chunked_prefill && budget == 0) return;
    if (!fits(head.tokens(), head.job.output - head.done, kv_needed(head))) return;
    const uint32_t hits = std::min(cache_.hits(head.job.prefix) * kBlockTokens, head.tokens() - 1);
    const uint32_t to_do = head.tokens() - hits;
    if (!model_.chunked_prefill && !first && to_do > budget) return;
    head.cached = hits;
    head.prefilled = 0;
    head.chunk = model_.chunked_prefill ? std::min(to_do, budget) : to_do;
    budget -= std::min(budget, head.chunk);
    first = false;
    begin_prefill(std::move(head));
    waiting_.pop_front();
  }
  admit_ghosts(UINT64_MAX, budget, first);
}

// Of the ghosts that came before BEFORE, those find room that would have been let in here.
void ModelServer::admit_ghosts(uint64_t before, uint32_t budget, bool first) {
  if (ghost_queue_.empty() || running() >= model_.max_running || (budget == 0 && !first)) return;
  const TimeNs now = seen_at(start_ps_);
  size_t kept = 0, i = 0;
  for (; i < ghost_queue_.size() && ghost_queue_[i].order < before; ++i) {
    const Ghost& ghost = ghost_queue_[i];
    if (!ghosts_.waits(ghost.id)) continue;
    const bool in_budget = first || model_.chunked_prefill || ghost.prompt <= budget;
    if (in_budget && fits(ghost.prompt, ghost.output, uint64_t{ghost.prompt} + 1))
      ghosts_.admitted(ghost.id, now);
    else
      ghost_queue_[kept++] = ghost;
  }
  ghost_queue_.erase(ghost_queue_.begin() + static_cast<ptrdiff_t>(kept),
                     ghost_queue_.begin() + static_cast<ptrdiff_t>(i));
}

bool ModelServer::fits(uint32_t prompt, uint32_t output, uint64_t kv) const {
  if (running() >= model_.max_running) return false;
  if (kv_held_ + kv + kept_free() > model_.kv_tokens) return false;
  return model_.admit == ServerModel::Admit::kGreedy || peak_fits(prompt, output);
}

// What a newcomer must leave of the KV cache, so that it is not thrown out again at once.
uint64_t ModelServer::kept_free() const {
  const bool applies = model_.admit == ServerModel::Admit::kGreedy && running() != 0;
  return applies ? model_.kv_tokens / kKeptFree : 0;
}

// LightLLM's rule: sorted by what they have yet to make, most first, the n-th to end finds n
// sequences there, each with what it has now and that much more.
bool ModelServer::peak_fits(uint32_t prompt, uint32_t output) const {
  scratch_.clear();
  const auto add = [&](const Sequence& s, uint64_t made) {
    if (s.gone) return;
    const uint64_t done = std::min<uint64_t>(s.done + made, s.job.output);
    scratch_.emplace_back(s.job.output - done, s.job.prompt + done);
  };
  for (const Sequence& s : slots_)
    if (s.ticket != 0) add(s, step_ - s.since);
  for (const Sequence& s : prefilling_) add(s, 0);
  scratch_.emplace_back(output, prompt);
  std::ranges::sort(scratch_, std::greater<>());
  uint64_t held = 0, count = 0;
  for (const auto& [left, has] : scratch_) {
    held += has;
    if (held + left * ++count > model_.kv_tokens) return false;
  }
  return true;
}

// With its first token; blocks that others hold are there already.
uint64_t ModelServer::kv_needed(const Sequence& s) const {
  const uint64_t shared = s.job.prefix.size() * kBlockTokens;
  return s.tokens() - shared + uint64_t{cache_.unheld(s.job.prefix)} * kBlockTokens + 1;
}

void ModelServer::begin_prefill(Sequence s) {
  s.kv_own = s.tokens() - s.job.prefix.size() * kBlockTokens;
  kv_held_ += s.kv_own + uint64_t{cache_.hold(s.job.prefix)} * kBlockTokens;
  if (kv_held_ <= model_.kv_tokens) cache_.shrink((model_.kv_tokens - kv_held_) / kBlockTokens);
  if (!s.told) tell(ServerEvent::Kind::kAdmitted, s, s.cached, start_ps_);
  s.told = true;
  prefilling_.push_back(std::move(s));
}

// Its first token is there, or the first after it was thrown out.
void ModelServer::end_prefill(Sequence s) {
  if (s.gone) {
    kv_held_ -= s.kv_own + uint64_t{cache_.release(s.job.prefix)} * kBlockTokens;
    return;
  }
  if (s.done == 0) tell(ServerEvent::Kind::kFirstToken, s, 1, start_ps_);
  ++s.done;
  ++s.kv_own;
  ++kv_held_;
  s.since = step_;
  s.ticket = next_ticket_++;
  context_ += s.tokens();
  ++running_;
  uint32_t slot = static_cast<uint32_t>(slots_.size());
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot] = std::move(s);
  schedule(slot);
}

// A sequence in SLOT that is up to date ends here, or is due again later.
void ModelServer::schedule(uint32_t slot) {
  Sequence& s = slots_[slot];
  if (s.done >= s.job.output || s.gone) {
    tell(ServerEvent::Kind::kFinished, s, s.done, start_ps_);
    leave(slot);
    return;
  }
  const uint32_t steps = std::min(s.job.output - s.done, kProgressTokens);
  due_.push({step_ + steps, s.ticket, slot});
}

void ModelServer::settle_due() {
  while (!due_.empty() && due_.top().step <= step_) {
    const Due due = due_.top();
    due_.pop();
    Sequence& s = slots_[due.slot];
    if (s.ticket != due.ticket) continue;
    bring_up_to_date(s);
    if (s.done < s.job.output) tell(ServerEvent::Kind::kProgress, s, s.done, start_ps_);
    schedule(due.slot);
  }
}

void ModelServer::bring_up_to_date(Sequence& s) {
  const auto made = static_cast<uint32_t>(step_ - s.since);
  s.done += made;
  s.kv_own += made;
  s.since = step_;
}

// The sequence in SLOT, which is up to date, is out of the batch.
void ModelServer::leave(uint32_t slot) {
  Sequence& s = slots_[slot];
  kv_held_ -= s.kv_own + uint64_t{cache_.release(s.job.prefix)} * kBlockTokens;
  context_ -= s.tokens();
  --running_;
  s.ticket = 0;
  free_slots_.push_back(slot);
  // What those were to do that are gone is no event.
  while (!due_.empty() && slots_[due_.top().slot].ticket != due_.top().ticket) due_.pop();
}

// Throws out the newest sequences until another token of each fits; they begin again when there is
// room, before all others. Whether there were any.
bool ModelServer::make_place() {
  const uint64_t before = preemptions_;
  while (running_ > 1 && kv_held_ + running_ > model_.kv_tokens) {
    uint32_t newest = kNone;
    for (uint32_t slot = 0; slot < slots_.size(); ++slot)
      if (slots_[slot].ticket != 0 &&
          (newest == kNone || slots_[slot].ticket > slots_[newest].ticket))
        newest = slot;
    bring_up_to_date(slots_[newest]);
    leave(newest);
    waiting_.push_front(std::move(slots_[newest]));
    ++preemptions_;
  }
  return preemptions_ != before;
}

uint32_t ModelServer::room() const {
  if (!waiting_.empty() || running() >= model_.max_running) return 0;
  uint64_t free = model_.kv_tokens - std::min(model_.kv_tokens, kv_held_ + 1 + kept_free());
  if (model_.admit == ServerModel::Admit::kPeakMemory) {
    for (const Sequence& s : slots_)
      if (s.ticket != 0)
        free -= std::min<uint64_t>(free, s.job.output - s.done - (step_ - s.since));
    for (const Sequence& s : prefilling_) free -= std::min<uint64_t>(free, s.job.output - s.done);
  }
  return static_cast<uint32_t>(std::min<uint64_t>(free, UINT32_MAX));
}

}  // namespace sluice::simulate
