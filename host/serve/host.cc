#include "host/serve/host.h"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <thread>

#include "host/admin/admin_server.h"
#include "host/admin/host_metrics.h"
#include "host/exit_codes.h"
#include "host/ext_proc/server.h"
#include "host/http/server.h"
#include "host/pool/pool.h"
#include "host/scheduler/decision_log_file.h"
#include "host/serve/calm.h"
#include "host/serve/logging.h"
#include "host/serve/policy_faults.h"
#include "host/serve/prepare.h"

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kDrainPoll{20};
constexpr std::chrono::seconds kCutPatience{5};   // for what was cut to be answered
constexpr std::chrono::seconds kLook{1};          // between two looks around
constexpr std::chrono::milliseconds kHealth{50};  // between two words to the health service

class Host {
 public:
  explicit Host(const ServeOptions& options)
      : options_(options),
        deadline_timer_(control_),
        look_timer_(control_),
        health_timer_(control_),
        drain_timer_(control_),
        drain_deadline_(control_),
        signals_(control_, SIGTERM, SIGINT, SIGHUP) {}

  int run() {
    if (const int code = start(); code != kExitOk) return code;
    control_.run();
    return finish();
  }

 private:
  using Reloaded = AdminSources::Reloaded;

  int start();
  int finish();
  int listen();
  int open_decision_log();
  AdminSources admin_sources();
  void await_signal();
  void look_around();
  void tell_health();
  std::string not_ready() const;
  TransportStats transports() const;

  void reload(Reloaded done);
  void prepare_next();
  ReloadResult swap(Preparation preparation);
  std::string what_stays(const config::Config& next) const;

  void drain();
  void refuse_new_work();
  void cut();
  void poll_drained();
  bool nothing_left();

  const ServeOptions options_;
  const uint64_t seed_ = std::random_device{}() * uint64_t{0x9e3779b97f4a7c15};
  asio::io_context control_{1};
  asio::steady_timer deadline_timer_;  // the engine's next deadline
  asio::steady_timer look_timer_, health_timer_;
  asio::steady_timer drain_timer_, drain_deadline_;
  asio::signal_set signals_;

  config::Config config_;
  config::Config started_with_;  // what was bound and opened, and stays so
  std::unique_ptr<DecisionLogFile> decision_log_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<SchedulerPort> port_;
  std::unique_ptr<Pool> pool_;
  HostMetrics metrics_;
  ReloadStats reloads_;
  std::unique_ptr<HttpServer> http_;         // null: not configured
  std::unique_ptr<ExtProcServer> ext_proc_;  // null: not configured
  std::unique_ptr<AdminServer> admin_;
  PolicyFaults faults_;
  Calm calm_;
  bool started_ = false, draining_ = false, refusing_ = false;
  std::chrono::steady_clock::time_point give_up_ = std::chrono::steady_clock::time_point::max();
  std::vector<Reloaded> reloading_, reload_next_;  // who waits for the one that runs, for one after
  asio::thread_pool preparer_{1};                  // last: joined before anything that it uses goes
};

int Host::start() {
  Preparation preparation = prepare(options_.config, seed_);
  std::fputs(preparation.messages.c_str(), stderr);  // nobody may be reading: no reason to end
  if (!preparation.prepared) return preparation.exit_code;
  Prepared& p = *preparation.prepared;
  config_ = std::move(p.config);
  started_with_ = config_;
  set_up_logging(config_);

  auto engine = Engine::create(std::move(p.pipeline), seed_, Scheduler::now());
  if (!engine) {
    fmt::print(stderr, "{}", engine_refusal(options_.config, engine.error()));
    return kExitPlugin;
  }
  scheduler_ = std::make_unique<Scheduler>(std::move(*engine), [this](TimeNs at) {
    asio::post(control_, [this, at] {
      deadline_timer_.expires_at(
          std::chrono::steady_clock::time_point(std::chrono::nanoseconds(at)));
      deadline_timer_.async_wait([this](ErrorCode ec) {
        if (!ec) scheduler_->tick();
      });
    });
  });
  port_ = std::make_unique<SchedulerPort>(*scheduler_);
  pool_ = std::make_unique<Pool>(control_, *port_);
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const uint32_t threads = options_.threads != 0 ? options_.threads : std::min(cores, 8U);
  const RecordSink record = [this](const RequestRecord& one) {
    metrics_.record(Scheduler::now(), one);
  };
  if (config_.http)
    http_ = std::make_unique<HttpServer>(*scheduler_, *pool_, p.http, record,
                                         HttpServer::Options{.threads = threads, .seed = seed_});
  if (config_.ext_proc)
    ext_proc_ = std::make_unique<ExtProcServer>(
        TransportServices{*scheduler_, *pool_, record}, p.ext_proc,
        ExtProcServer::Options{.threads = threads, .seed = seed_ + 1});
  // The log only now: a second host with the same file ends here, and must not rotate it.
  if (const int code = listen(); code != kExitOk) return code;
  if (const int code = open_decision_log(); code != kExitOk) return code;
  pool_->configure(std::move(p.pool));
  await_signal();
  look_around();
  if (http_) http_->start();
  if (ext_proc_) ext_proc_->start();
  started_ = true;
  tell_health();
  return kExitOk;
}

int Host::open_decision_log() {
  if (config_.decisions_file.empty()) return kExitOk;
  auto log = DecisionLogFile::open(config_.decisions_file);
  if (!log) {
    fmt::print(stderr, "{}: error: [log] decisions: {}\n", options_.config.string(), log.error());
    return kExitRuntime;
  }
  decision_log_ = std::move(*log);
  scheduler_->with_engine(
      [this](Engine& engine, TimeNs now) { engine.set_log(now, decision_log_.get()); });
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
  if (config_.ext_proc) {
    auto port = ext_proc_->listen(*config_.ext_proc);
    if (!port) return fail("[listen.ext_proc]", port.error());
    spdlog::info("serving {} to gateways on {}{}", options_.config.string(),
                 config_.ext_proc->address.text, config_.ext_proc->tls ? " with TLS" : "");
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
      .not_ready = [this] { return not_ready(); },
      .reload = [this](Reloaded done) { reload(std::move(done)); },
      .release_policy =
          [this](const std::string& name) {
            const bool released = scheduler_->with_engine(
                [&](Engine& e, TimeNs now) { return e.release_policy(now, name); });
            if (released) spdlog::info("policy {} is released from quarantine", name);
            return released;
          },
      .reload_stats = [this] { return reloads_; },
      .transports = [this] { return transports(); },
      .requests = &metrics_,
      .version = SLUICE_VERSION};
}

std::string Host::not_ready() const {
  if (draining_) return "draining";
  if (!started_) return "starting";
  return pool_->settled() ? "" : "not every endpoint has been asked for its metrics yet";
}

TransportStats Host::transports() const {
  return {.http_connections = http_ ? http_->connections() : 0,
          .ext_proc_streams = ext_proc_ ? ext_proc_->streams() : 0};
}

void Host::tell_health() {
  if (!ext_proc_) return;
  ext_proc_->set_ready(not_ready().empty());
  health_timer_.expires_after(kHealth);
  health_timer_.async_wait([this](ErrorCode ec) {
    if (!ec) tell_health();
  });
}

void Host::await_signal() {
  signals_.async_wait([this](ErrorCode ec, int signal) {
    if (ec) return;
    if (signal == SIGHUP) {
      reload([](const ReloadResult&) {});
    } else if (!draining_) {
      drain();
    } else {
      spdlog::warn("second signal: ending now");
      cut();
    }
    await_signal();
  });
}

void Host::look_around() {
  look_timer_.expires_after(kLook);
  look_timer_.async_wait([this](ErrorCode ec) {
    if (ec) return;
    const Stats stats =
        scheduler_->with_engine([](Engine& engine, TimeNs) { return engine.stats(); });
    for (const std::string& news : faults_.look(stats.policies)) spdlog::warn("{}", news);
    // On another thread: it walks over the whole heap.
    if (ext_proc_) ext_proc_->look_at_certificates();
    const size_t open = transports().http_connections + (ext_proc_ ? ext_proc_->calls() : 0);
    if (calm_.look(open + stats.total.parked + stats.total.in_flight))
      asio::post(preparer_, [] { ::malloc_trim(0); });
    look_around();
  });
}

// ---- reload ----

// Files are read and policies loaded on a thread of their own, so that deadlines, probes and
// signals do not wait; the swap happens here. Whoever asks meanwhile gets the reload after that,
// since the file may have changed since it was read.
void Host::reload(Reloaded done) {
  reload_next_.push_back(std::move(done));
  if (reloading_.empty()) prepare_next();
}

void Host::prepare_next() {
  reloading_.swap(reload_next_);
  asio::post(preparer_, [this, bound = listeners(started_with_)] {
    auto preparation = std::make_shared<Preparation>(prepare(options_.config, seed_, bound));
    asio::post(control_, [this, preparation] {
      const ReloadResult result = swap(std::move(*preparation));
      for (const Reloaded& done : std::exchange(reloading_, {})) done(result);
      if (!reload_next_.empty()) prepare_next();
    });
  });
}

ReloadResult Host::swap(Preparation preparation) {
  const auto refuse = [&](const std::string& why) -> ReloadResult {
    ++reloads_.bad;
    reloads_.last_error = why;
    spdlog::error("reload refused, the running pipeline goes on:\n{}", why);
    return {false, why};
  };
  if (!preparation.prepared) return refuse(preparation.messages);
  Prepared& p = *preparation.prepared;
  const Result<void> swapped = scheduler_->with_engine(
      [&](Engine& engine, TimeNs now) { return engine.reconfigure(now, std::move(p.pipeline)); });
  if (!swapped) return refuse(engine_refusal(options_.config, swapped.error()));
  // Requests read by the old routing carry its generation; the engine translates.
  if (http_) http_->reconfigure(p.http);
  if (ext_proc_) ext_proc_->reconfigure(p.ext_proc);
  pool_->configure(std::move(p.pool));
  set_up_logging(p.config);
  const std::string warnings = preparation.messages + what_stays(p.config);
  config_ = std::move(p.config);
  ++reloads_.good;
  reloads_.last_error.clear();
  if (!warnings.empty()) spdlog::warn("{}", warnings);
  spdlog::info("reloaded {}", options_.config.string());
  return {true, warnings};
}

std::string Host::what_stays(const config::Config& next) const {
  const auto text = [](const auto& address) { return address ? address->text : std::string(); };
  const auto http = [](const config::Config& c) { return c.http ? c.http->address.text : ""; };
  const auto ext_proc = [](const config::Config& c) {
    return c.ext_proc ? c.ext_proc->address.text : "";
  };
  const auto tls = [](const config::Config& c) {
    if (!c.ext_proc || !c.ext_proc->tls) return std::string();
    const config::Tls& files = *c.ext_proc->tls;
    return fmt::format("{}\n{}\n{}", files.cert.string(), files.key.string(),
                       files.client_ca.string());
  };
  std::string out;
  const auto stays = [&](const char* what) {
    out += fmt::format("{}: warning: {} takes effect at the next start\n", options_.config.string(),
                       what);
  };
  if (http(next) != http(started_with_)) stays("[listen.http] address");
  if (ext_proc(next) != ext_proc(started_with_)) stays("[listen.ext_proc] address");
  if (tls(next) != tls(started_with_)) stays("[listen.ext_proc] tls");
  // Bodies in one message, as in BUFFERED mode, are bounded by what gRPC was told then.
  const auto max_body = [](const config::Config& c) {
    const uint64_t max = c.ext_proc ? c.ext_proc->max_body : 0;
    return max == 0 ? UINT64_MAX : max;
  };
  if (next.ext_proc && started_with_.ext_proc && max_body(next) > max_body(started_with_))
    stays("[listen.ext_proc] max_body, as far as it is larger and bodies come in one message,");
  if (text(next.admin) != text(started_with_.admin)) stays("[admin] address");
  if (next.decisions_file != started_with_.decisions_file) stays("[log] decisions");
  return out;
}

// ---- drain ----

void Host::drain() {
  draining_ = true;
  tell_health();
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
  poll_drained();
}

void Host::cut() {
  drain_deadline_.cancel();
  give_up_ = std::min(give_up_, std::chrono::steady_clock::now() + kCutPatience);
  scheduler_->with_engine([](Engine& engine, TimeNs now) { engine.drain_now(now); });
  if (!std::exchange(refusing_, true)) poll_drained();
}

void Host::poll_drained() {
  if (nothing_left() || std::chrono::steady_clock::now() >= give_up_) return control_.stop();
  drain_timer_.expires_after(kDrainPoll);
  drain_timer_.async_wait([this](ErrorCode ec) {
    if (!ec) poll_drained();
  });
}

// Once the engine is empty idle connections are closed; what is still open then is somebody who
// sends a request, and must be told, or who reads an answer.
bool Host::nothing_left() {
  const bool engine_empty = scheduler_->with_engine([](Engine& engine, TimeNs) {
    const Ledger total = engine.stats().total;
    return total.parked + total.in_flight == 0;
  });
  if (!engine_empty) return false;
  if (http_) http_->retire();
  const TransportStats open = transports();
  return open.http_connections + open.ext_proc_streams == 0;
}

int Host::finish() {
  if (http_) http_->stop();
  if (ext_proc_) ext_proc_->stop();
  preparer_.join();
  pool_->stop();
  admin_.reset();
  spdlog::info("ended");
  return kExitOk;
}

}  // namespace

int serve(const ServeOptions& options) { return Host(options).run(); }

}  // namespace sluice
