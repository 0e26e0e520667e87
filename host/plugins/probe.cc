#include "host/plugins/probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <csignal>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/plugins/probe_wire.h"
#include "host/plugins/render.h"

extern char** environ;

namespace sluice::plugins {
namespace {

using Clock = std::chrono::steady_clock;

// Above every descriptor that the child is given, so that giving one cannot overwrite another.
constexpr int kSourceFdMin = 64;
static_assert(answer_fd(kProbeBatch - 1) < kSourceFdMin);

UniqueFd high(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, kSourceFdMin)); }

// What one process of the child is to do.
struct Job {
  const Image* image;
  std::string request;  // "" = describe it
  std::string what;     // "loading": completes "did not finish ..."
  const char* advice;
};

Refusal unprobed(const std::string& what) {
  return {"could not be examined: " + what,
          "this is about the host, not the plugin: free memory, processes or files"};
}

class Batch {
 public:
  Batch(std::span<const Job> jobs, const ProbeOptions& options) : jobs_(jobs), options_(options) {}

  std::vector<PluginInfo> run() {
    std::optional<Refusal> failure;
    if (!start()) failure = unprobed(std::strerror(errno));
    if (!failure) collect();
    std::vector<PluginInfo> infos;
    for (size_t i = 0; i < jobs_.size(); ++i) {
      PluginInfo info = failure ? PluginInfo{} : answer(i);
      if (failure) info.refusal = failure;
      info.path = jobs_[i].image->path;
      info.sha256 = jobs_[i].image->sha256;
      info.size = jobs_[i].image->size;
      infos.push_back(std::move(info));
    }
    return infos;
  }

 private:
  // False, with errno, if the child did not start.
  bool start() {
    if (std::getenv(kProbeMark) != nullptr) {
      errno = ELOOP;
      return false;
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    reports_ = UniqueFd(ends[0]);
    const UniqueFd low_end(ends[1]);
    const UniqueFd report_end = high(low_end.get());
    std::vector<UniqueFd> copies;
    for (const Job& job : jobs_) {
      copies.push_back(high(job.image->copy.get()));
      const UniqueFd low(::memfd_create("sluice:answer", MFD_CLOEXEC));
      answers_.push_back(high(low.get()));
      if (!copies.back() || !answers_.back()) return false;
      const auto size = static_cast<ssize_t>(job.request.size());
      if (::pwrite(low.get(), job.request.data(), job.request.size(), 0) != size) return false;
    }
    if (!report_end) return false;

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < kReportFd; ++fd)
      posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, report_end.get(), kReportFd);
    for (size_t i = 0; i < jobs_.size(); ++i) {
      posix_spawn_file_actions_adddup2(&actions, copies[i].get(), image_fd(static_cast<int>(i)));
      posix_spawn_file_actions_adddup2(&actions, answers_[i].get(), answer_fd(static_cast<int>(i)));
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::string program = options_.program.string(), command(kProbeCommand),
                count = std::to_string(jobs_.size());
    char* const argv[] = {program.data(), command.data(), count.data(), nullptr};
    std::string mark = fmt::format("{}=1", kProbeMark);
    std::vector<char*> environment;
    for (char** variable = environ; *variable != nullptr; ++variable)
      environment.push_back(*variable);
    environment.insert(environment.end(), {mark.data(), nullptr});
    const int error =
        ::posix_spawn(&child_, program.c_str(), &actions, &attributes, argv, environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    return error == 0;
  }

  // Hears how each file's process ended, until all have or time is up; then nothing of the child is
  // left.
  void collect() {
    statuses_.assign(jobs_.size(), std::nullopt);
    const Clock::time_point deadline = Clock::now() + options_.limit;
    for (size_t heard = 0; heard < jobs_.size();) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) break;
      pollfd ready{reports_.get(), POLLIN, 0};
      const int polled = ::poll(&ready, 1, static_cast<int>(left.count()));
      if (polled < 0 && errno == EINTR) continue;
      if (polled <= 0) break;
      ProbeReport report{};
      if (::read(reports_.get(), &report, sizeof report) != sizeof report) {
        broken_ = true;
        break;
      }
      if (report.index < statuses_.size()) statuses_[report.index] = report.status;
      ++heard;
    }
    ::kill(-child_, SIGKILL);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  PluginInfo answer(size_t index) const {
    PluginInfo info;
    const auto& status = statuses_[index];
    const Job& job = jobs_[index];
    if (!status && broken_)
      info.refusal =
          unprobed(fmt::format("{} {} ended early", options_.program.string(), kProbeCommand));
    else if (!status)
      info.refusal =
          Refusal{fmt::format("did not finish {} within {} ms", job.what, options_.limit.count()),
                  job.advice};
    else if (WIFSIGNALED(*status))
      info.refusal = Refusal{fmt::format("crashed during {} (signal {}, {})", job.what,
                                         WTERMSIG(*status), ::strsignal(WTERMSIG(*status))),
                             job.advice};
    else if (!read_answer(answers_[index].get(), info))
      info.refusal = Refusal{fmt::format("ended the process during {} (exit status {})", job.what,
                                         WEXITSTATUS(*status)),
                             job.advice};
    return info;
  }

  static bool read_answer(int fd, PluginInfo& info) {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || status.st_size <= 0 ||
        static_cast<size_t>(status.st_size) > kProbeBytesMax)
      return false;
    std::string text(static_cast<size_t>(status.st_size), '\0');
    return ::pread(fd, text.data(), text.size(), 0) == status.st_size && parse_json(text, info);
  }

  std::span<const Job> jobs_;
  const ProbeOptions& options_;
  UniqueFd reports_;
  std::vector<UniqueFd> answers_;
  pid_t child_ = 0;
  std::vector<std::optional<int>> statuses_;
  bool broken_ = false;
};

std::vector<PluginInfo> run(std::span<const Job> jobs, const ProbeOptions& options) {
  std::vector<PluginInfo> infos;
  for (size_t at = 0; at < jobs.size(); at += kProbeBatch) {
    auto batch = Batch(jobs.subspan(at, std::min(kProbeBatch, jobs.size() - at)), options).run();
    std::move(batch.begin(), batch.end(), std::back_inserter(infos));
  }
  return infos;
}

}  // namespace

std::vector<PluginInfo> probe(std::span<const Image* const> images, const ProbeOptions& options) {
  std::vector<Job> jobs;
  for (const Image* image : images)
    jobs.push_back({image, "", "loading",
                    "look at its constructors, which must neither fail nor wait, and for wild "
                    "pointers in its static tables"});
  return run(jobs, options);
}

std::vector<std::optional<Refusal>> try_out(std::span<const Trial> trials,
                                            const ProbeOptions& options) {
  std::vector<Job> jobs;
  for (const Trial& trial : trials) {
    nlohmann::json values = nlohmann::json::array();
    for (const Value& value : trial.values) values.push_back({value.i, value.f, value.s});
    const auto request = nlohmann::json::to_cbor(
        {{"kind", kind_name(trial.kind)}, {"name", trial.name}, {"values", std::move(values)}});
    jobs.push_back({trial.image,
                    {request.begin(), request.end()},
                    fmt::format("create or the self-check of {}/{}", trial.package, trial.name),
                    "it is a fault of the plugin: ask whoever made it"});
  }
  std::vector<std::optional<Refusal>> refusals;
  for (PluginInfo& info : run(jobs, options)) refusals.push_back(std::move(info.refusal));
  return refusals;
}

}  // namespace sluice::plugins
