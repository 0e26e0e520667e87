// The pool's other half: what scrapes and requests say about endpoints, and what transports and
// people ask.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "host/pool/member.h"
#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

double seconds(TimeNs ns) { return static_cast<double>(ns) / 1e9; }

// Adds NAMES to INTO, both sorted. True if there was something new.
bool merge(std::vector<std::string>& into, const std::vector<std::string>& names) {
  std::vector<std::string> all;
  std::set_union(into.begin(), into.end(), names.begin(), names.end(), std::back_inserter(all));
  if (all.size() == into.size() || all.size() > kModelsPerEndpointMax) return false;
  into = std::move(all);
  return true;
}

}  // namespace

// ---- scrapes ----

void Pool::on_asking(uint32_t slot) {
  if (members_[slot]->limits.learn) engine_.report_asked(slot);
}

void Pool::on_reading(uint32_t slot, EngineReading reading) {
  Member& member = *members_[slot];
  member.scrapes_good++;
  member.malformed_lines += reading.malformed;
  member.report = std::move(reading.report);
  member.report.ints = label_hashes(settings_, member.config);
  member.heard_ns = Scheduler::now();
  engine_.report(slot, member.report);
  if (member.health.scraped(Scheduler::now())) health_changed(member, "its metrics can be read");
  if (merge(member.adapters, reading.adapters) && member.served().unknown == false) {
    update_classes();
  }
  note_news(member);
}

void Pool::on_miss(uint32_t slot, Miss miss, const std::string& why) {
  Member& member = *members_[slot];
  member.scrapes_missed[static_cast<size_t>(miss)]++;
  member.last_miss = why;
  const TimeNs now = Scheduler::now();
  if (miss == Miss::kNoConnection) {
    if (member.health.connect_failed(now)) health_changed(member, why);
  } else {
    if (member.health.connected(now)) health_changed(member, "it accepts connections");
  }
  note_news(member);
}

void Pool::on_models(uint32_t slot, std::vector<std::string> names) {
  Member& member = *members_[slot];
  if (names.empty() || member.learnt == names) return;
  spdlog::info("endpoint {} serves {}", member.address->name, fmt::join(names, ", "));
  member.learnt = std::move(names);
  update_classes();
}

void Pool::on_round(uint32_t slot) {
  Member& member = *members_[slot];
  check_stale(member);
  if (!member.asked) {
    member.asked = true;
    check_settled();
  }
}

// Asked after each round: what answers late, but answers, is not stale.
void Pool::check_stale(Member& member) {
  const TimeNs silence = member.silence(Scheduler::now());
  const uint64_t stale_after = settings_.pool.stale_after_ns;
  const bool stale = stale_after != 0 && silence > stale_after;
  if (stale == member.stale) return;
  member.stale = stale;
  if (stale) send_report(member);
  if (!member.health.up()) return;  // it was said that it is taken out
  const std::string& name = member.address->name;
  if (!stale) {
    spdlog::info("metrics of endpoint {} are fresh again", name);
  } else {
    spdlog::warn(
        "no metrics of endpoint {} for {:.1f} s ({}); requests are still sent there, by Sluice's "
        "own count",
        name, seconds(silence), member.last_miss);
  }
}

void Pool::check_settled() {
  if (settled()) return;
  const bool all = std::all_of(members_.begin(), members_.end(),
                               [](const auto& member) { return member->removed || member->asked; });
  if (all) settled_.store(true, std::memory_order_release);
}

// ---- health ----

void Pool::health_changed(Member& member, const std::string& why) {
  const bool up = member.health.up();
  const bool was_ejected = std::exchange(member.ejected, !up);
  if (up && was_ejected) {
    spdlog::info("endpoint {} is back: {}", member.address->name, why);
    // It may have been restarted with others.
    if (!std::exchange(member.adapters, {}).empty()) update_classes();
    if (member.scraper) member.scraper->ask_models();
  } else if (up) {
    spdlog::info("endpoint {} takes its full load again: {}", member.address->name, why);
  } else {
    spdlog::warn(
        "endpoint {} ({}) is taken out after failures in a row: {}; back when it answers, tried "
        "again within {:.0f} s",
        member.address->name, member.address->authority, why,
        seconds(member.health.backoff_ends_ns() - Scheduler::now()));
  }
  publish_directory();
  engine_.set_endpoint(member.slot, member.room(), up);
}

// From here on succeeded() is worth a turn on the control thread, or not.
void Pool::note_news(const Member& member) {
  const bool news = member.health.failures() != 0 || member.health.state() != Health::State::kUp;
  success_is_news_[member.slot].store(news, std::memory_order_relaxed);
}

void Pool::post_request(uint32_t slot, bool good) {
  std::shared_ptr<const EndpointAddress> address = at(slot);
  if (!address) return;
  asio::post(control_, [this, alive = std::weak_ptr(alive_), slot, address, good] {
    if (!alive.expired()) note_request(slot, address.get(), good);
  });
}

void Pool::note_request(uint32_t slot, const EndpointAddress* address, bool good) {
  Member& member = *members_[slot];
  if (member.removed || member.address.get() != address) return;  // about one that was there before
  const TimeNs now = Scheduler::now();
  const bool changed =
      good ? member.health.request_succeeded(now) : member.health.request_failed(now);
  if (changed) health_changed(member, good ? "it answers requests" : "a request got no answer");
  note_news(member);
}

// ---- transports ----

std::optional<ClassId> Pool::class_for(std::string_view target_model) const {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const ClassMap> map = class_map_;
  lock.unlock();
  return map->find(target_model);
}

std::shared_ptr<const EndpointAddress> Pool::at(uint32_t slot) const {
  std::lock_guard lock(mutex_);
  return slot < directory_->by_slot.size() ? directory_->by_slot[slot] : nullptr;
}

std::optional<uint32_t> Pool::any(const std::vector<uint32_t>* only) const {
  const uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const Directory> directory = directory_;
  lock.unlock();
  std::vector<uint32_t> some;
  if (only != nullptr)
    std::copy_if(directory->up.begin(), directory->up.end(), std::back_inserter(some),
                 [&](uint32_t slot) { return std::ranges::count(*only, slot) != 0; });
  const std::vector<uint32_t>& up = only != nullptr ? some : directory->up;
  if (up.empty()) return std::nullopt;
  return up[turn % up.size()];
}

std::vector<uint32_t> Pool::slots_where(
    const std::function<bool(const EndpointAddress&)>& match) const {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const Directory> directory = directory_;
  lock.unlock();
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < directory->by_slot.size(); ++slot)
    if (directory->by_slot[slot] && match(*directory->by_slot[slot])) slots.push_back(slot);
  return slots;
}

std::vector<std::string> Pool::models() const {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const ClassMap> map = class_map_;
  lock.unlock();
  return map->names();
}

void Pool::succeeded(uint32_t slot) {
  if (slot >= kEndpointsMax || !success_is_news_[slot].load(std::memory_order_relaxed)) return;
  post_request(slot, true);
}

void Pool::failed(uint32_t slot) {
  if (slot >= kEndpointsMax) return;
  // So that a success which comes before the control thread has heard of this is not lost.
  success_is_news_[slot].store(true, std::memory_order_relaxed);
  post_request(slot, false);
}

// ---- people ----

PoolStatus Pool::status() const {
  PoolStatus out;
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->removed) continue;
    const ServedModels served = member->served();
    EndpointStatus& endpoint = out.endpoints.emplace_back();
    endpoint.slot = member->slot;
    endpoint.name = member->address->name;
    endpoint.address = member->address->authority;
    endpoint.labels = member->config.labels;
    endpoint.limits = member->limits;
    endpoint.models_known = !served.unknown;
    endpoint.models = served.names;
    endpoint.health = member->health.state();
    endpoint.failures = member->health.failures();
    endpoint.ejections = member->health.ejections();
    endpoint.metrics_taken_ns = member->report.taken_ns;
    endpoint.metrics_stale = member->stale;
    endpoint.waiting = member->report.waiting;
    endpoint.running = member->report.running;
    endpoint.kv_used = member->report.kv_used;
    endpoint.scrapes_good = member->scrapes_good;
    endpoint.scrapes_missed = member->scrapes_missed;
    endpoint.malformed_lines = member->malformed_lines;
  }
  out.file_reads_good = file_reads_good_;
  out.file_reads_bad = file_reads_bad_;
  out.classes = classes_.size();
  out.models_left_out = classes_.left_out();
  out.endpoints_left_out = endpoints_left_out_;
  return out;
}

}  // namespace sluice
