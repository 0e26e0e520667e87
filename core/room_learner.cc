#include "core/room_learner.h"

#include <algorithm>
#include <utility>

#include "core/planted.h"

namespace sluice {
namespace {

constexpr float kKvFull = 0.75F;    // beyond it a queue is one for memory
constexpr float kKvInUse = 0.25F;   // below it, it is not
constexpr float kKvNoMore = 0.97F;  // more tokens would only be preempted

}  // namespace

void RoomLearner::Search::lower(uint64_t to, TimeNs now, uint64_t slack, uint64_t first_step) {
  to = std::max<uint64_t>(to, 1);
  if (limit != 0 && to >= limit) return;
  const uint64_t apart = to > found ? to - found : found - to;
  wait = found != 0 && apart <= slack ? std::min(wait * 2, kProbeWaitMaxNs) : kProbeWaitMinNs;
  limit = found = to;
  step = first_step;
  next = now + wait;
  lowered_at = now;
}

void RoomLearner::Search::raise(TimeNs now) {
  if (now < next) return;
  if (found == 0) step = limit;  // nobody has ever had to wait: double
  limit += step;
  step = std::min(step * 2, limit / 2 + 1);
}

void RoomLearner::Search::give_up() {
  if (found != 0) limit = std::min(limit, found);
}

// Whether requests that are not ours are taken to be there. Where no other gateway is known, a
// queue alone, beside no more running than we have there, does not say so.
bool RoomLearner::with_others(const Seen& s, uint32_t gateways) {
  return s.present() > s.own_high && (gateways > 1 || s.running > s.own_high);
}

// Of ours, how many the engine keeps waiting that were there all the time.
uint32_t RoomLearner::own_waiting(const Seen& s, uint32_t gateways) {
  if (s.waiting == 0) return 0;
  if (s.present() <= s.own_high && s.settled()) return s.waiting;
  if (!with_others(s, gateways))
    return std::min(s.waiting, s.own_low > s.running ? s.own_low - s.running : 0);
  return static_cast<uint32_t>((uint64_t{s.waiting} * s.own_low + s.present() / 2) / s.present());
}

void RoomLearner::note_running(TimeNs now, uint32_t running) {
  if (now - running_since_ >= kRecentNs) {
    running_[1] = now - running_since_ < 2 * kRecentNs ? running_[0] : 0;
    running_[0] = 0;
    running_since_ = now;
  }
  running_[0] = std::max(running_[0], running);
}

// Whether what waits there waits for memory, and not for one of the engine's places.
bool RoomLearner::bound_by_tokens(const Seen& s) const {
  if (s.kv_used >= kKvFull) return true;
  return s.kv_used >= kKvInUse && s.running < recent_running();
}

void RoomLearner::observe(const Seen& s, uint32_t gateways) {
  heard_ = true;
  if (s.kv_tokens_max != kv_tokens_max_) {
    kv_tokens_max_ = s.kv_tokens_max;
    tokens_ = {.limit = kv_tokens_max_, .found = kv_tokens_max_, .step = kv_tokens_max_ / 32 + 1};
  }
  if (s.present() < s.own_low) {
    doubts_ = std::min(doubts_ + 1, kDoubtMax);
    waited_before_ = 0;
    requests_.give_up();
    return;
  }
  if (planted(Planted::kLimitFallsForNothing) && s.waiting == 0)
    return requests_.lower(requests_.limit - 1, s.now, 0, 1);
  doubts_ = 0;
  note_running(s.now, s.running);

  // Of what runs there, what is this gateway's whatever others do.
  const bool others = with_others(s, gateways);
  const uint32_t part = others ? s.running / std::max<uint32_t>(gateways, 2) : 0;
  const uint32_t waits = own_waiting(s, gateways);
  const uint32_t standing = std::min(waits, waited_before_);
  waited_before_ = waits;
  if (standing != 0) {
    // What was read before the last step down knows nothing of it.
    if (s.asked_ns < std::max(requests_.lowered_at, tokens_.lowered_at)) return;
    if (bound_by_tokens(s)) {
      const uint32_t own = std::max(s.own_low, standing + 1);
      // Sizes differ, so that one moment says little of the next: a part at a time.
      const uint64_t fits =
          std::max(s.own_tokens / own * (own - standing), tokens_.limit - tokens_.limit / 16);
      tokens_.lower(fits, s.now, fits / 16, fits / 32 + 1);
    } else {
      const uint32_t rest = s.own_low > standing ? s.own_low - standing : 1;
      requests_.lower(std::max(rest, part), s.now, 0, 1);
    }
  } else if (s.waiting == 0) {
    // Over a long window it is enough that the limit was met now and then.
    const uint32_t own = s.settled() ? s.own_high : s.own_low;
    // Under a ceiling nothing more is tried where it is known what waits.
    const double share = requests_.found == 0 ? s.share : 1;
    const auto enough = static_cast<uint64_t>(share * static_cast<double>(requests_.limit));
    if (own != 0 && own >= enough && s.running >= s.own_low) requests_.raise(s.now);
    if (s.tokens_short && s.kv_used < kKvNoMore && tokens_.limit != 0) {
      // No further than what is free there: more would wait.
      const auto free = static_cast<uint64_t>((1 - s.kv_used) * static_cast<float>(kv_tokens_max_));
      const uint64_t before = tokens_.limit;
      tokens_.raise(s.now);
      tokens_.limit = std::min(tokens_.limit, std::max(before, s.own_tokens + free));
    }
  }
  // Its part of what others have taken too: one at a time, for it is only said that they have.
  if (s.waiting != 0 && s.own_low >= requests_.limit && requests_.limit < part) ++requests_.limit;
}

void RoomLearner::unheard() {
  requests_.give_up();
  tokens_.give_up();
  waited_before_ = 0;
}

bool RoomLearner::finished(TimeNs now, uint64_t cost, uint32_t own, uint32_t gateways) {
  if (heard_ || gateways > 1) return false;
  rate_.finished(now, cost, own);
  return std::exchange(requests_.limit, rate_.limit()) != requests_.limit;
}

void RoomLearner::rejected(TimeNs now, uint32_t own) {
  requests_.lower(own > 1 ? own - 1 : 1, now, 0, 1);
  rate_.settle(requests(), now);
}

}  // namespace sluice
