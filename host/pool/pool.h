// The pool: the endpoints that there are, what is known of each, and what the engine and the
// transports must be told.
//
// Owns the slots. Learns endpoints from pipeline.toml and from a watched endpoints_file, their load
// and models from scrapes, their health from how requests and scrapes go; tells the engine of every
// change, and answers transports from immutable snapshots. Threads: the functions of Backends and
// settled() are [any]; everything else, construction and destruction too, is
//   for the control io_context's thread (or while nothing runs it).
// Order on a change: first a new address can be resolved, then the engine knows the classes, then
// names map to them, then what is parked follows its name, then the engine may dispatch. So a
// transport never meets a slot or a class that the other side does not know yet.
// Slots: an endpoint is its name and its address. It keeps its slot while it stays listed. A
// removed one stays
//   resolvable until its slot is given away, which needs that nothing of it is in flight and
//   kSlotRestNs have passed.
// Complexity: a lookup is a short lock and a hash; a change of the endpoints is O(endpoints x
// names).
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/limits.h"
#include "host/config/config.h"
#include "host/net/asio.h"
#include "host/pool/backends.h"
#include "host/pool/engine_port.h"
#include "host/pool/file_watcher.h"
#include "host/pool/health.h"
#include "host/pool/model_classes.h"
#include "host/pool/scraper.h"

namespace sluice {

struct PoolSettings {
  config::Pool pool;
  std::vector<config::Endpoint> file_endpoints;  // of the endpoints_file, as it was found
  std::vector<config::SocketAddress> own;        // what this process listens on: never an endpoint
  std::vector<EndpointColumn> columns;           // what scoring policies declared
  // Of a label's value, for columns; the same that request columns use. May be null if no column
  // asks for it.
  uint64_t (*hash)(std::string_view) = nullptr;
};

// What ENDPOINT of POOL may have in flight, as configured.
EndpointLimits limits_of(const config::Pool& pool, const config::Endpoint& endpoint);
// What scoring policies see of ENDPOINT's labels: a value for each label column that they declared.
std::vector<int64_t> label_hashes(const PoolSettings& settings, const config::Endpoint& endpoint);

// One endpoint for /status and /metrics.
struct EndpointStatus {
  uint32_t slot = 0;
  std::string name, address;
  std::map<std::string, std::string> labels;
  EndpointLimits limits;  // as configured; those in force are the engine's to say
  bool models_known = false;
  std::vector<std::string> models;
  Health::State health = Health::State::kUp;
  uint32_t failures = 0;  // in a row
  uint64_t ejections = 0;
  TimeNs metrics_taken_ns = 0;  // 0 = never
  bool metrics_stale = false;
  uint32_t waiting = 0, running = 0;
  float kv_used = 0;
  uint64_t scrapes_good = 0;
  std::array<uint64_t, ScrapeObserver::kMisses> scrapes_missed{};  // by ScrapeObserver::Miss
  uint64_t malformed_lines = 0;
};

struct PoolStatus {
  std::vector<EndpointStatus> endpoints;             // by slot
  uint64_t file_reads_good = 0, file_reads_bad = 0;  // of the endpoints_file
  size_t classes = 0;
  uint64_t models_left_out = 0;     // for want of classes
  uint64_t endpoints_left_out = 0;  // for want of slots, at the last change
};

class Pool final : public Backends, private ScrapeObserver {
 public:
  // ENGINE is borrowed.
  Pool(asio::io_context& control, EnginePort& engine);
  ~Pool() override;

  // Takes SETTINGS from now on: the first call starts, a later one is a reload. Endpoints that stay
  // keep their slots.
  void configure(PoolSettings settings);
  void stop();

  PoolStatus status() const;
  // Every endpoint has been asked once, successfully or not.
  bool settled() const { return settled_.load(std::memory_order_acquire); }

  std::optional<ClassId> class_for(std::string_view target_model) const override;
  std::shared_ptr<const EndpointAddress> at(uint32_t slot) const override;
  ClassId class_of_all() const override { return ModelClasses::kAll; }
  std::optional<uint32_t> any(const std::vector<uint32_t>* only = nullptr) const override;
  std::vector<uint32_t> slots_where(
      const std::function<bool(const EndpointAddress&)>& match) const override;
  std::vector<std::string> models() const override;
  void succeeded(uint32_t slot) override;
  void failed(uint32_t slot) override;

 private:
  struct Member;
  // What transports see of the endpoints.
  struct Directory {
    std::vector<std::shared_ptr<const EndpointAddress>> by_slot;
    std::vector<uint32_t> up;
  };

  void on_asking(uint32_t slot) override;
  void on_reading(uint32_t slot, EngineReading reading) override;
  void on_miss(uint32_t slot, Miss miss, const std::string& why) override;
  void on_models(uint32_t slot, std::vector<std::string> names) override;
  void on_round(uint32_t slot) override;

  void read_file();
  std::vector<config::Endpoint> wanted() const;
  void apply();
  bool keep(Member& member, const config::Endpoint& endpoint);
  std::optional<uint32_t> free_slot(TimeNs now);
  void retire(Member& member, TimeNs now);
  void announce(Member& member);
  void send_report(const Member& member);
  void restart_scraper(Member& member);
  void publish_directory();
  void update_classes();
  void retry_later();
  void health_changed(Member& member, const std::string& why);
  void note_news(const Member& member);
  void note_request(uint32_t slot, const EndpointAddress* address, bool good);
  void post_request(uint32_t slot, bool good);
  void check_stale(Member& member);
  void check_settled();

  asio::io_context& control_;
  EnginePort& engine_;
  PoolSettings settings_;
  bool started_ = false;
  std::vector<std::unique_ptr<Member>> members_;  // by slot; never null
  std::vector<config::Endpoint> file_endpoints_;
  std::shared_ptr<FileWatcher> watcher_;
  std::filesystem::path watched_;
  uint64_t file_reads_good_ = 0, file_reads_bad_ = 0, endpoints_left_out_ = 0;
  asio::steady_timer retry_;
  ModelClasses classes_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // what posted handlers check

  std::atomic<bool> settled_ = false;
  mutable std::atomic<uint32_t> turn_ = 0;
  // Slots where a success is news: there were failures, or the endpoint is not fully up.
  std::array<std::atomic<bool>, kEndpointsMax> success_is_news_{};
  mutable std::mutex mutex_;  // of the two below, for the moment of copying
  std::shared_ptr<const Directory> directory_;
  std::shared_ptr<const ClassMap> class_map_;
};

}  // namespace sluice
