// Steps and time; batch.cc has who is in the batch.
#include "host/simulate/model_server.h"

#include <algorithm>

namespace sluice::simulate {
namespace {

uint64_t squares(uint64_t from, uint64_t to) { return to * to - from * from; }

}  // namespace

ModelServer::ModelServer(const ServerModel& model, Ghosts& ghosts)
    : model_(model), ghosts_(ghosts) {}

ModelServer::Answer ModelServer::submit(TimeNs now, Job job) {
  if (job.prompt >= model_.kv_tokens) return Answer::kTooLong;
  if (model_.max_waiting != 0 && waiting_.size() >= model_.max_waiting) return Answer::kFull;
  const uint64_t output_max = model_.kv_tokens - job.prompt;
  job.output = static_cast<uint32_t>(std::clamp<uint64_t>(job.output, 1, output_max));
  if (!model_.prefix_cache) job.prefix.clear();
  Sequence s;
  s.job = std::move(job);
  s.order = next_order_++;
  waiting_.push_back(std::move(s));
  cut_run(now);
  return Answer::kQueued;
}

void ModelServer::add_ghost(TimeNs now, GhostId id, uint32_t prompt, uint32_t output) {
  while (!ghost_queue_.empty() && !ghosts_.waits(ghost_queue_.front().id)) ghost_queue_.pop_front();
  ghost_queue_.push_back({id, next_order_++, prompt, output});
  cut_run(now);
}

void ModelServer::advance(TimeNs now, std::vector<ServerEvent>& events) {
  while (next_at_ <= now) {
    finish_plan();
    plan(end_ps_);
  }
  events.insert(events.end(), untold_.begin(), untold_.end());
  untold_.clear();
}

void ModelServer::cancel(TimeNs now, uint32_t request) {
  const auto is_it = [&](const Sequence& s) { return s.job.request == request; };
  if (const auto it = std::ranges::find_if(waiting_, is_it); it != waiting_.end()) {
    waiting_.erase(it);
    cut_run(now);
    return;
  }
  for (Sequence& s : prefilling_)
    if (is_it(s)) s.gone = true;
  for (Sequence& s : slots_)
    if (s.ticket != 0 && is_it(s)) s.gone = some_gone_ = true;
  // What it was part of is not cut short: it leaves at the end of the step.
  if (some_gone_) cut_run(now, true);
}

float ModelServer::kv_used(TimeNs now) const {
  uint64_t held = kv_held_;
  if (plan_ == Plan::kDecode) held += running_ * steps_by(now);
  return static_cast<float>(static_cast<double>(held) / static_cast<double>(model_.kv_tokens));
}

TimeNs ModelServer::prefill_alone(uint32_t prompt, uint32_t cached) const {
  const uint64_t tokens = prompt - std::min(cached, prompt - 1);
  const uint64_t steps = model_.chunked_prefill ? (tokens - 1) / model_.max_prefill_tokens + 1 : 1;
  const auto& cost = model_.prefill_ps;
  return whole_ns(steps * cost.base + tokens * cost.per_token +
                  squares(prompt - tokens, prompt) * cost.per_token_sq);
}

// ---- steps ----

// What comes next, from START_PS on: whoever waits is let in, then one step, or a run of them.
void ModelServer::plan(uint64_t start_ps) {
  epoch_ += start_ps / kPsPerNs;
  start_ps %= kPsPerNs;
  start_ps_ = start_ps;
  threw_out_ = make_place();
  admit();
  uint64_t tokens = 0, square = 0;
  for (const Sequence& s : prefilling_) {
    const uint64_t before = s.cached + s.prefilled;
    tokens += s.chunk;
    square += squares(before, before + s.chunk);
  }
  const auto& cost = model_.prefill_ps;
  const uint64_t prefill = tokens * cost.per_token + square * cost.per_token_sq;
  if (tokens == 0 && running_ == 0) {
    plan_ = Plan::kNone;
    end_ps_ = start_ps;
    next_at_ = kNever;
  } else if (tokens == 0) {
    plan_ = Plan::kDecode;
    run_steps_ = run_length();
    end_plan_at(start_ps + run_ps(run_steps_));
  } else if (model_.chunked_prefill) {
    plan_ = Plan::kMixed;
    end_plan_at(start_ps + prefill + (running_ == 0 ? cost.base : step_ps()));
  } else {
    plan_ = Plan::kPrefill;
    end_plan_at(start_ps + prefill + cost.base);
  }
}

void ModelServer::end_plan_at(uint64_t end_ps) {
  end_ps_ = end_ps;
  next_at_ = seen_at(end_ps);
}

// How many decode steps until something may change: a sequence finishes or reports, the KV cache
// runs full, or whoever waits may be let in.
uint64_t ModelServer::run_length() const {
  uint64_t steps = due_.top().step - step_;
  steps = std::min(steps, (model_.kv_tokens - std::min(model_.kv_tokens, kv_held_)) / running_);
  if (!waiting_.empty() || !ghost_queue_.empty()) {
    if (threw_out_)
      steps = 1;
    else if (!may_prefill())
      steps = std::min(steps, last_prefill_ + model_.steps_between_prefills - step_);
    else if (model_.admit == ServerModel::Admit::kPeakMemory && running_ < model_.max_running)
      // What is to come shrinks with every step, until somebody fits.
      steps = std::min<uint64_t>(steps, std::max(1U, model_.steps_between_prefills));
  }
  return std::max<uint64_t>(steps, 1);
}

void ModelServer::finish_plan() {
  start_ps_ = end_ps_;  // the moment of all that is told below
  switch (plan_) {
    case Plan::kNone:
      break;
    case Plan::kDecode:
      decoded(run_steps_);
      settle_due();
      break;
    case Plan::kPrefill:
    case Plan::kMixed: {
      if (plan_ == Plan::kMixed && running_ != 0) {
        decoded(1);
        settle_due();
      }
      std::vector<Sequence> all = std::move(prefilling_);
      prefilling_.clear();
      for (Sequence& s : all) {
        s.prefilled += s.chunk;
        if (s.cached + s.prefilled >= s.tokens() || s.gone)
          end_prefill(std::move(s));
        else
          prefilling_.push_back(std::move(s));
      }
      last_prefill_ = step_;
      break;
    }
  }
  if (!some_gone_) return;
  some_gone_ = false;
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].ticket == 0 || !slots_[slot].gone) continue;
    bring_up_to_date(slots_[slot]);
    leave(slot);
  }
}

void ModelServer::cut_run(TimeNs now, bool even_if_full) {
  if (plan_ == Plan::kNone) {
    epoch_ = now;
    plan(0);
  } else if (plan_ == Plan::kDecode && (even_if_full || running() < model_.max_running)) {
    run_steps_ = std::min(run_steps_, steps_by(now) + 1);
    end_plan_at(start_ps_ + run_ps(run_steps_));
  }
}

uint64_t ModelServer::step_ps() const {
  const auto& cost = model_.step_ps;
  return cost.base + running_ * cost.per_sequence + context_ * cost.per_context_token;
}

// The context grows by a token a sequence from each step to the next.
uint64_t ModelServer::run_ps(uint64_t steps) const {
  if (steps == 0) return 0;
  return steps * step_ps() + steps * (steps - 1) / 2 * running_ * model_.step_ps.per_context_token;
}

// Steps of the run that are done by now.
uint64_t ModelServer::steps_by(TimeNs now) const {
  const uint64_t now_ps = (now - std::min(now, epoch_)) * kPsPerNs;
  const uint64_t elapsed = now_ps - std::min(now_ps, start_ps_);
  uint64_t low = 0, high = std::min(run_steps_, elapsed / step_ps());
  while (low < high) {
    const uint64_t middle = (low + high + 1) / 2;
    if (run_ps(middle) <= elapsed)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

void ModelServer::decoded(uint64_t steps) {
  step_ += steps;
  context_ += steps * running_;
  kv_held_ += steps * running_;
}

void ModelServer::tell(ServerEvent::Kind kind, const Sequence& s, uint32_t tokens, uint64_t at_ps) {
  if (!s.gone) untold_.push_back({kind, s.job.request, seen_at(at_ps), tokens});
}

}  // namespace sluice::simulate
