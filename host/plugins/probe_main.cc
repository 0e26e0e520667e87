// The child's side of the probe; see probe.h. Started fresh, with one thread, so that forking is
// safe.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/plugins/dll.h"
#include "host/plugins/make.h"
#include "host/plugins/probe.h"
#include "host/plugins/probe_wire.h"
#include "host/plugins/render.h"

namespace sluice::plugins {
namespace {

void limit(int resource, rlim_t most) {
  const rlimit value{most, most};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &value);
}

// What FD holds; FD is empty afterwards, which tells of a process that did not come to its answer.
std::string take_request(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) ::_exit(EXIT_FAILURE);
  std::string request(static_cast<size_t>(status.st_size), '\0');
  if (::pread(fd, request.data(), request.size(), 0) != status.st_size || ::ftruncate(fd, 0) != 0)
    ::_exit(EXIT_FAILURE);
  return request;
}

// Makes the policy that REQUEST asks for, once. Why it cannot be made, or nothing.
std::optional<Refusal> try_one(const sluice_entry_v1& entry, const std::string& package,
                               const std::string& request) {
  const auto asked = nlohmann::json::from_cbor(request);
  std::vector<Value> values;
  for (const auto& value : asked.at("values"))
    values.push_back(
        {value.at(0).get<int64_t>(), value.at(1).get<double>(), value.at(2).get<std::string>()});
  Kind kind = Kind::kOrdering;
  for (Kind one : {Kind::kFairness, Kind::kEviction, Kind::kScoring})
    if (asked.at("kind") == kind_name(one)) kind = one;
  auto* const columns = new ColumnRegistry;  // for ever, as in the host: a plugin may have threads
  auto* const services = new HostServices(package, *columns);
  Refusal refusal;
  if (make_policy(entry, package, kind, asked.at("name").get<std::string>(), values, *services,
                  *columns, refusal))
    return std::nullopt;
  return refusal;
}

// Runs in a process of its own: loads image INDEX, tries what is asked for, and writes its
// description.
[[noreturn]] void examine(int index) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(kReportFd);
  const std::string request = take_request(answer_fd(index));
  limit(RLIMIT_CORE, 0);
  if (request.empty()) limit(RLIMIT_FSIZE, kProbeBytesMax);  // a create may write what it likes
  // A crash is to be seen as the signal that it is, whatever handlers this process came with.
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) ::signal(number, SIG_DFL);

  PluginInfo info;
  UniqueFd copy(image_fd(index));
  const LoadedImage image = load_image(copy);
  if (image.entry == nullptr)
    info.refusal =
        Refusal{"cannot be loaded: " + image.error,
                "link all that it needs into it, and build it on a system no newer than this one"};
  else
    info.refusal = describe(*image.entry, info);
  if (!info.refusal && !request.empty())
    info.refusal = try_one(*image.entry, info.package, request);
  const std::string text = render_json(info);
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(answer_fd(index), text.data() + done, text.size() - done);
    if (written <= 0) ::_exit(EXIT_FAILURE);
    done += static_cast<size_t>(written);
  }
  ::_exit(EXIT_SUCCESS);
}

void report(int index, int status) {
  const ProbeReport record{static_cast<uint32_t>(index), status};
  if (::write(kReportFd, &record, sizeof record) != sizeof record) ::_exit(EXIT_FAILURE);
}

}  // namespace

bool is_probe(int argc, char** argv) { return argc == 3 && argv[1] == kProbeCommand; }

int probe_main(int, char** argv) {
  const int count = std::atoi(argv[2]);
  if (count < 1 || count > static_cast<int>(kProbeBatch) || ::fcntl(kReportFd, F_GETFD) < 0)
    return EXIT_FAILURE;
  ::close_range(static_cast<unsigned>(answer_fd(count - 1)) + 1, ~0U, 0);
  std::array<pid_t, kProbeBatch> children{};
  for (int i = 0; i < count; ++i) {
    children[i] = ::fork();
    if (children[i] == 0) examine(i);
  }
  for (int left = count; left > 0; --left) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended < 0) return EXIT_FAILURE;
    for (int i = 0; i < count; ++i)
      if (children[i] == ended) report(i, status);
  }
  return EXIT_SUCCESS;
}

}  // namespace sluice::plugins
