#include "host/pool/pool.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "host/config/values.h"
#include "host/pool/member.h"
#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

EndpointAddress to_address(const config::Endpoint& endpoint) {
  const auto& [host, port, text] = endpoint.address;
  const bool v6 = host.find(':') != std::string::npos;
  return {endpoint.name, host, port,
          v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port)};
}

}  // namespace

EndpointLimits limits_of(const config::Pool& pool, const config::Endpoint& endpoint) {
  const uint32_t in_flight_max = endpoint.max_in_flight.value_or(pool.max_in_flight);
  EndpointLimits limits(in_flight_max == 0 ? kNone : in_flight_max);
  limits.tokens = pool.max_in_flight_tokens;
  limits.prefill_tokens = pool.max_prefill_tokens;
  limits.learn = pool.learn_room && !endpoint.max_in_flight;
  limits.gateways = pool.gateways;
  return limits;
}

Pool::Pool(asio::io_context& control, EnginePort& engine)
    : control_(control),
      engine_(engine),
      retry_(control),
      directory_(std::make_shared<Directory>()),
      class_map_(classes_.map()) {}

Pool::~Pool() { stop(); }

void Pool::configure(PoolSettings settings) {
  settings_ = std::move(settings);
  if (!started_) {
    started_ = true;
    engine_.set_class(ModelClasses::kOthers, {});
  }
  const std::filesystem::path& file = settings_.pool.endpoints_file;
  if (file != watched_) {
    if (watcher_) watcher_->stop();
    watcher_ = nullptr;
    watched_ = file;
    file_endpoints_ = settings_.file_endpoints;
  }
  if (!file.empty()) {
    if (!watcher_) {
      watcher_ = std::make_shared<FileWatcher>(control_, file, [this] {
        read_file();
        apply();
      });
      watcher_->start();
    }
    read_file();
  }
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->removed) continue;
    restart_scraper(*member);
    send_report(*member);  // its columns may be others now
  }
  apply();
}

void Pool::stop() {
  alive_ = std::make_shared<int>();
  if (watcher_) watcher_->stop();
  watcher_ = nullptr;
  retry_.cancel();
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->scraper) member->scraper->stop();
  }
}

// ---- endpoints ----

void Pool::read_file() {
  config::Diagnostics diagnostics;
  auto endpoints = config::load_endpoints(watched_, diagnostics);
  const std::string messages = diagnostics.render();
  if (endpoints) {
    if (!messages.empty()) spdlog::warn("{}", messages);
    file_reads_good_++;
    file_endpoints_ = std::move(*endpoints);
  } else {
    spdlog::error(
        "endpoints_file cannot be used; the {} endpoints that it held before are kept\n{}",
        file_endpoints_.size(), messages);
    file_reads_bad_++;
  }
}

std::vector<config::Endpoint> Pool::wanted() const {
  std::vector<config::Endpoint> out;
  std::set<std::string> names;
  for (const auto* list : {&settings_.pool.endpoints, &file_endpoints_}) {
    for (const config::Endpoint& endpoint : *list) {
      if (std::any_of(settings_.own.begin(), settings_.own.end(), [&](const auto& listener) {
            return config::reaches(listener, endpoint.address);
          })) {
        spdlog::error("endpoint {} is left out: {} is Sluice itself", endpoint.name,
                      endpoint.address.text);
        continue;
      }
      if (names.insert(endpoint.name).second) {
        out.push_back(endpoint);
      } else {
        spdlog::error("endpoint {} is listed twice; {} is left out", endpoint.name,
                      endpoint.address.text);
      }
    }
  }
  return out;
}

void Pool::apply() {
  const TimeNs now = Scheduler::now();
  std::vector<config::Endpoint> endpoints = wanted();
  std::vector<Member*> gone;
  for (const std::unique_ptr<Member>& member : members_) {
    if (member->removed) continue;
    const bool stays = std::any_of(endpoints.begin(), endpoints.end(),
                                   [&](const auto& endpoint) { return member->is(endpoint); });
    if (stays) continue;
    retire(*member, now);
    gone.push_back(member.get());
  }

  std::vector<Member*> fresh;
  endpoints_left_out_ = 0;
  for (const config::Endpoint& endpoint : endpoints) {
    auto it = std::find_if(members_.begin(), members_.end(),
                           [&](const auto& member) { return member->is(endpoint); });
    if (it != members_.end() && !(*it)->removed) {
      if (keep(**it, endpoint)) fresh.push_back(it->get());
      continue;
    }
    // One that comes back finds its slot, and with it what it still has in flight.
    std::optional<uint32_t> slot;
    if (it != members_.end()) {
      slot = static_cast<uint32_t>(it - members_.begin());
    } else {
      slot = free_slot(now);
    }
    if (!slot) {
      endpoints_left_out_++;
      continue;
    }
    auto member = std::make_unique<Member>();
    member->slot = *slot;
    member->since = now;
    member->address = std::make_shared<EndpointAddress>(to_address(endpoint));
    keep(*member, endpoint);
    fresh.push_back(member.get());
    if (*slot == members_.size()) members_.emplace_back();
    members_[*slot] = std::move(member);
  }

  publish_directory();
  update_classes();
  for (Member* member : fresh) announce(*member);
  // Last, so that the engine does not see an empty pool when all are replaced at once.
  for (Member* member : gone) engine_.remove_endpoint(member->slot);
  check_settled();
  if (endpoints_left_out_ != 0) {
    spdlog::error(
        "{} endpoints have no place: all {} slots are taken, or still in use by removed ones",
        endpoints_left_out_, kEndpointsMax);
    retry_later();
  }
}

// Takes over what may change of an endpoint. True if the engine must hear of it.
bool Pool::keep(Member& member, const config::Endpoint& endpoint) {
  const EndpointLimits limits = limits_of(settings_.pool, endpoint);
  const bool changed = limits != member.limits || endpoint.labels != member.config.labels;
  const bool learns = endpoint.models.empty(), learnt = member.config.models.empty();
  member.config = endpoint;
  member.limits = limits;
  if (member.scraper && learns != learnt) restart_scraper(member);
  return changed;
}

std::optional<uint32_t> Pool::free_slot(TimeNs now) {
  for (uint32_t slot = 0; slot < members_.size(); slot++) {
    const Member& member = *members_[slot];
    if (!member.removed || now < member.removed_at + kSlotRestNs) continue;
    if (engine_.endpoint_idle(slot)) return slot;
  }
  if (members_.size() == kEndpointsMax) return std::nullopt;
  return static_cast<uint32_t>(members_.size());
}

void Pool::retire(Member& member, TimeNs now) {
  member.removed = true;
  member.removed_at = now;
  if (member.scraper) member.scraper->stop();
  member.scraper = nullptr;
  spdlog::info("endpoint {} ({}) is gone", member.address->name, member.address->authority);
}

// The engine hears of a new or changed endpoint.
void Pool::announce(Member& member) {
  engine_.set_endpoint(member.slot, member.room(), member.health.up());
  send_report(member);
  if (member.scraper) return;
  spdlog::info("endpoint {} ({}) is there", member.address->name, member.address->authority);
  restart_scraper(member);
}

// What is known without asking: labels. Load stays as last scraped; taken_ns = 0 where it never
// was, or too long ago to steer by.
void Pool::send_report(const Member& member) {
  EndpointReport report;
  if (!member.stale) report = member.report;
  report.ints = label_hashes(settings_, member.config);
  report.floats.clear();
  for (const EndpointColumn& column : settings_.columns) {
    if (column.kind == EndpointColumn::Kind::kMetric) report.floats.push_back(column.absent);
  }
  engine_.report(member.slot, report);
}

void Pool::restart_scraper(Member& member) {
  if (member.scraper) member.scraper->stop();
  const config::Pool& pool = settings_.pool;
  const size_t endpoints = std::max<size_t>(members_.size(), 1);
  ScrapeOptions options;
  options.engine = pool.engine;
  options.path = pool.scrape_path;
  options.interval_ns = std::max({TimeNs{pool.scrape_interval_ns}, kScrapeIntervalMinNs,
                                  endpoints * 1'000'000'000 / kScrapesPerSecondMax});
  options.columns = settings_.columns;
  options.learn_models = member.config.models.empty();
  member.scraper = std::make_shared<Scraper>(control_, static_cast<ScrapeObserver&>(*this),
                                             member.slot, *member.address, std::move(options));
  member.scraper->start();
}

void Pool::publish_directory() {
  auto directory = std::make_shared<Directory>();
  for (const std::unique_ptr<Member>& member : members_) {
    directory->by_slot.push_back(member->address);
    if (!member->removed && member->health.up()) directory->up.push_back(member->slot);
  }
  std::lock_guard lock(mutex_);
  directory_ = std::move(directory);
}

void Pool::update_classes() {
  std::vector<ServedModels> served;
  for (const std::unique_ptr<Member>& member : members_) {
    if (!member->removed) served.push_back(member->served());
  }
  for (const ModelClasses::Change& change : classes_.update(Scheduler::now(), served)) {
    engine_.set_class(change.id, change.members);
  }
  const std::shared_ptr<const ClassMap> map = classes_.map();
  {
    std::lock_guard lock(mutex_);
    class_map_ = map;
  }
  // What was parked under a class that its name has left would wait there for nobody.
  engine_.reclassify([&](std::string_view target) { return map->find(target); });
}

void Pool::retry_later() {
  retry_.expires_after(std::chrono::nanoseconds(kSlotRestNs));
  retry_.async_wait([this, alive = std::weak_ptr(alive_)](ErrorCode cancelled) {
    if (!cancelled && !alive.expired()) apply();
  });
}

}  // namespace sluice
