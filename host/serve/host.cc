#include "host/serve/host.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <xxhash.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <thread>

#include "host/admin/admin_server.h"
#include "host/admin/host_metrics.h"
#include "host/exit_codes.h"
#include "host/http/server.h"
#include "host/pool/pool.h"
#include "host/scheduler/decision_log_file.h"
#include "host/serve/build_pipeline.h"
#include "host/serve/logging.h"

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kDrainPoll{20};
constexpr std::chrono::seconds kCutPatience{5};      // for what was cut to be answered
constexpr std::chrono::seconds kGoodbyePatience{2};  // for last answers to be written

uint64_t hash_text(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

// A configuration with everything that is made of it before anything that runs is touched.
struct Prepared {
  config::Config config;
  Pipeline pipeline;
  PoolSettings pool;
  std::shared_ptr<const HttpSettings> http;
};

struct Preparation {
  std::optional<Prepared> prepared;
  int exit_code = kExitConfig;  // if there is none
  std::string messages;         // errors and warnings, as people read them
};

Preparation prepare(const std::filesystem::path& file, uint64_t seed) {
  Preparation result;
  config::Diagnostics diagnostics;
  std::optional<config::Config> config = config::load(file, diagnostics);
  BuiltPipeline built;
  if (config) built = build_pipeline(*config, diagnostics);
  result.messages = diagnostics.render();
  if (!config || !built.pipeline) {
    if (built.status == plugins::Loader::Status::kRefused) result.exit_code = kExitPlugin;
    return result;
  }

  const plugins::DeclaredColumns columns = plugins::PluginRegistry::instance().declared();
  RoutingOptions routing{.generation = built.pipeline->generation,
                         .seed = seed,
                         .prefix_block_tokens = built.pipeline->prefix_block_tokens};
  PoolSettings pool{.pool = config->pool, .columns = {}, .hash = hash_text};
  using plugins::Source;
  for (const auto& c : columns.request_ints)
    routing.columns.push_back({.source = c.source == Source::kHashHeader
                                             ? DeclaredColumn::Source::kHeaderHash
                                             : DeclaredColumn::Source::kHeader,
                               .header = c.name,
                               .absent_int = c.absent});
  for (const auto& c : columns.request_floats)
    routing.columns.push_back({.is_float = true, .header = c.name, .absent_float = c.absent});
  for (const auto& c : columns.endpoint_ints)
    pool.columns.push_back(
        {.kind = EndpointColumn::Kind::kLabelHash, .name = c.name, .absent_int = c.absent});
  for (const auto& c : columns.endpoint_floats)
    pool.columns.push_back(
        {.kind = EndpointColumn::Kind::kMetric, .name = c.name, .absent = c.absent});

  auto routes = Routing::create(*config, std::move(routing));
  if (!routes) {
    result.messages += routes.error() + "\n";
    return result;
  }
  auto http = std::make_shared<HttpSettings>();
  if (config->http) http->listener = *config->http;
  http->upstream = config->upstream;
  http->routing = *routes;
  result.exit_code = kExitOk;
  result.prepared = Prepared{std::move(*config), std::move(*built.pipeline), std::move(pool), http};
  return result;
}

class Host {
 public:
  explicit Host(const ServeOptions& options)
      : options_(options),
        deadline_timer_(control_),
        drain_timer_(control_),
        drain_deadline_(control_),
        signals_(control_, SIGTERM, SIGINT, SIGHUP) {}

  int run() {
    if (const int code = start(); code != kExitOk) return code;
    control_.run();
    return finish();
  }

 private:
  int start();
  int finish();
  int listen();
  AdminSources admin_sources();
  void await_signal();
  std::optional<std::string> reload();  // why not
  void warn_of_what_stays(const config::Config& next) const;

  void drain();
  void refuse_new_work();
  void cut();
  void poll_drained(std::chrono::steady_clock::time_point give_up);
  bool nothing_left();

  const ServeOptions options_;
  const uint64_t seed_ = std::random_device{}() * uint64_t{0x9e3779b97f4a7c15};
  asio::io_context control_{1};
  asio::steady_timer deadline_timer_;  // the engine's next deadline
  asio::steady_timer drain_timer_, drain_deadline_;
  asio::signal_set signals_;

  config::Config config_;
  std::unique_ptr<DecisionLogFile> decision_log_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<SchedulerPort> port_;
  std::unique_ptr<Pool> pool_;
  HostMetrics metrics_;
  ReloadStats reloads_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<AdminServer> admin_;
  bool started_ = false, draining_ = false, refusing_ = false;
};

int Host::start() {
  Preparation preparation = prepare(options_.config, seed_);
  fmt::print(stderr, "{}", preparation.messages);
  if (!preparation.prepared) return preparation.exit_code;
  Prepared& p = *preparation.prepared;
  config_ = std::move(p.config);
  set_up_logging(config_);

  auto engine = Engine::create(std::move(p.pipeline), seed_, Scheduler::now());
  if (!engine) {
    fmt::print(stderr, "{}: error: {}\n", options_.config.string(), engine.error());
    return kExitPlugin;
  }
  if (!config_.decisions_file.empty()) {
    auto log = DecisionLogFile::open(config_.decisions_file);
    if (!log) {
      fmt::print(stderr, "{}: error: [log] decisions: {}\n", options_.config.string(), log.error());
      return kExitRuntime;
    }
    decision_log_ = std::move(*log);
    (*engine)->set_log(Scheduler::now(), decision_log_.get());
  }
  scheduler_ = std::make_unique<Scheduler>(std::move(*engine), [this](TimeNs at) {
    asio::post(control_, [this, at] {
      if (at == kNever) return deadline_timer_.cancel(), void();
      deadline_timer_.expires_at(
          std::chrono::steady_clock::time_point(std::chrono::nanoseconds(at)));
      deadline_timer_.async_wait([this](ErrorCode ec) {
        if (!ec) scheduler_->tick();
      });
    });
  });
  port_ = std::make_unique<SchedulerPort>(*scheduler_);
  pool_ = std::make_unique<Pool>(control_, *port_);
  pool_->configure(std::move(p.pool));
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  http_ = std::make_unique<HttpServer>(
      *scheduler_, *pool_, p.http,
      [this](const RequestRecord& record) { metrics_.record(Scheduler::now(), record); },
      HttpServer::Options{.threads = options_.threads != 0 ? options_.threads : std::min(cores, 8U),
                          .seed = seed_});
  if (const int code = listen(); code != kExitOk) return code;
  await_signal();
  http_->start();
  started_ = true;
  return kExitOk;
}

// The admin port first, so that nothing is served by a host that cannot be watched.
int Host::listen() {
  const auto fail = [](const char* what, const std::string& why) {
    fmt::print(stderr, "sluice serve: {}: {}\n", what, why);
    return kExitBind;
  };
  if (config_.admin) {
    admin_ = std::make_unique<AdminServer>(control_, *config_.admin, admin_sources());
    if (auto bound = admin_->start(); !bound) return fail("[admin]", bound.error());
  }
  if (config_.http) {
    auto port = http_->listen(config_.http->address);
    if (!port) return fail("[listen.http]", port.error());
    spdlog::info("serving {} on {}", options_.config.string(), config_.http->address.text);
  }
  return kExitOk;
}

AdminSources Host::admin_sources() {
  return {
      .stats =
          [this] { return scheduler_->with_engine([](Engine& e, TimeNs) { return e.stats(); }); },
      .flow_stats =
          [this] {
            return scheduler_->with_engine([](Engine& e, TimeNs) { return e.flow_stats(); });
          },
      .pool = [this] { return pool_->status(); },
      .not_ready = [this]() -> std::string {
        if (draining_) return "draining";
        if (!started_) return "starting";
        return pool_->settled() ? "" : "not every endpoint has been asked for its metrics yet";
      },
      .reload = [this]() -> Result<void> {
        if (auto why = reload()) return Error{*why};
        return {};
      },
      .reload_stats = [this] { return reloads_; },
      .extra_metrics = nullptr,
      .requests = &metrics_,
      .version = SLUICE_VERSION};
}

void Host::await_signal() {
  signals_.async_wait([this](ErrorCode ec, int signal) {
    if (ec) return;
    if (signal == SIGHUP) {
      reload();
    } else if (!draining_) {
      drain();
    } else {
      spdlog::warn("second signal: ending now");
      cut();
    }
    await_signal();
  });
}

// ---- reload ----

std::optional<std::string> Host::reload() {
  Preparation preparation = prepare(options_.config, seed_);
  const auto refuse = [&](const std::string& why) {
    ++reloads_.bad;
    reloads_.last_error = why;
    spdlog::error("reload refused, the running pipeline goes on:\n{}", why);
    return why;
  };
  if (!preparation.prepared) return refuse(preparation.messages);
  Prepared& p = *preparation.prepared;
  const Result<void> swapped = scheduler_->with_engine(
      [&](Engine& engine, TimeNs now) { return engine.reconfigure(now, std::move(p.pipeline)); });
  if (!swapped) return refuse(swapped.error());
  // Requests read by the old routing carry its generation; the engine translates.
  http_->reconfigure(p.http);
  pool_->configure(std::move(p.pool));
  warn_of_what_stays(p.config);
  set_up_logging(p.config);
  config_ = std::move(p.config);
  ++reloads_.good;
  reloads_.last_error.clear();
  if (!preparation.messages.empty()) spdlog::warn("{}", preparation.messages);
  spdlog::info("reloaded {}", options_.config.string());
  return std::nullopt;
}

void Host::warn_of_what_stays(const config::Config& next) const {
  const auto address = [](const auto& listener) {
    return listener ? listener->text : std::string();
  };
  const auto http = [](const config::Config& c) {
    return c.http ? c.http->address.text : std::string();
  };
  if (http(next) != http(config_))
    spdlog::warn("[listen.http] address takes effect at the next start");
  if (address(next.admin) != address(config_.admin))
    spdlog::warn("[admin] address takes effect at the next start");
  if (next.decisions_file != config_.decisions_file)
    spdlog::warn("[log] decisions takes effect at the next start");
}

// ---- drain ----

void Host::drain() {
  draining_ = true;
  spdlog::info(
      "draining: not ready from now on; new requests are refused in {} ms, everything ends in {} "
      "ms",
      config_.drain_grace_ns / 1'000'000, config_.drain_deadline_ns / 1'000'000);
  drain_timer_.expires_after(std::chrono::nanoseconds(config_.drain_grace_ns));
  drain_timer_.async_wait([this](ErrorCode ec) {
    if (!ec) refuse_new_work();
  });
  if (config_.drain_deadline_ns == 0) return;
  drain_deadline_.expires_after(std::chrono::nanoseconds(config_.drain_deadline_ns));
  drain_deadline_.async_wait([this](ErrorCode ec) {
    if (!ec) cut();
  });
}

void Host::refuse_new_work() {
  if (std::exchange(refusing_, true)) return;
  scheduler_->with_engine([](Engine& engine, TimeNs now) { engine.drain(now); });
  poll_drained(std::chrono::steady_clock::time_point::max());
}

void Host::cut() {
  refusing_ = true;
  drain_deadline_.cancel();
  scheduler_->with_engine([](Engine& engine, TimeNs now) { engine.drain_now(now); });
  poll_drained(std::chrono::steady_clock::now() + kCutPatience);
}

void Host::poll_drained(std::chrono::steady_clock::time_point give_up) {
  if (nothing_left() || std::chrono::steady_clock::now() >= give_up) return control_.stop();
  drain_timer_.expires_after(kDrainPoll);
  drain_timer_.async_wait([this, give_up](ErrorCode ec) {
    if (!ec) poll_drained(give_up);
  });
}

bool Host::nothing_left() {
  return scheduler_->with_engine([](Engine& engine, TimeNs) {
    const Ledger total = engine.stats().total;
    return total.parked + total.in_flight == 0;
  });
}

int Host::finish() {
  http_->retire();
  http_->wait_idle(kGoodbyePatience);
  http_->stop();
  pool_->stop();
  admin_.reset();
  spdlog::info("ended");
  return kExitOk;
}

}  // namespace

int serve(const ServeOptions& options) { return Host(options).run(); }

}  // namespace sluice
