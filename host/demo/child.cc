#include "host/demo/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <thread>
#include <utility>

namespace sluice::demo {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPoll{5};
constexpr size_t kLineMax = 4096;
constexpr int kExecFailed = 127;

int decode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

Error system_error(std::string_view what) {
  return Error{fmt::format("{}: {}", what, std::strerror(errno))};
}

}  // namespace

Result<Child> Child::start(const std::vector<std::string>& arguments,
                           const std::filesystem::path& log, bool piped, const char* program) {
  std::vector<char*> argv;
  std::string self = "sluice";
  argv.push_back(self.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const int log_fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return system_error("cannot write " + log.string());
  int ends[2] = {-1, -1};
  if (piped && ::pipe2(ends, O_CLOEXEC) != 0) {
    ::close(log_fd);
    return system_error("cannot make a pipe");
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Only async-signal-safe calls from here to exec. The parent may have died before prctl.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kExecFailed);
    // Ctrl-C is for the parent, which then ends its children in order.
    ::setpgid(0, 0);
    ::dup2(piped ? ends[1] : log_fd, STDOUT_FILENO);
    ::dup2(log_fd, STDERR_FILENO);
    ::execvp(program, argv.data());
    ::_exit(kExecFailed);
  }
  const int fork_errno = errno;
  ::close(log_fd);
  if (ends[1] >= 0) ::close(ends[1]);
  if (pid < 0) {
    if (ends[0] >= 0) ::close(ends[0]);
    errno = fork_errno;
    return system_error("cannot start a process");
  }
  Child child;
  child.pid_ = pid;
  child.out_ = ends[0];
  child.log_ = log;
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(out_, other.out_);
  std::swap(exit_code_, other.exit_code_);
  std::swap(log_, other.log_);
  return *this;
}

Child::~Child() {
  stop();
  if (out_ >= 0) ::close(out_);
}

Result<uint16_t> Child::wait_for_port(milliseconds patience) {
  constexpr std::string_view kListening = "listening on ";
  const auto deadline = Clock::now() + patience;
  std::string seen;
  while (seen.size() < kLineMax) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    pollfd ready{out_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) break;
    char some[256];
    const ssize_t n = ::read(out_, some, sizeof some);
    if (n <= 0) break;
    seen.append(some, static_cast<size_t>(n));
    const size_t end = seen.find('\n');
    if (end == std::string::npos) continue;
    const std::string_view line = std::string_view(seen).substr(0, end);
    const size_t colon = line.rfind(':');
    uint16_t port = 0;
    if (line.starts_with(kListening) && colon != line.npos) {
      std::from_chars(line.data() + colon + 1, line.data() + line.size(), port);
    }
    if (port != 0) return port;
    break;
  }
  return Error{"a server did not say which port it listens on\n" + tail(log_)};
}

std::optional<int> Child::exit_code() {
  if (pid_ >= 0) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    pid_ = -1;
    exit_code_ = decode(status);
  }
  return exit_code_;
}

std::optional<int> Child::wait(milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  std::optional<int> code;
  while (!(code = exit_code()) && Clock::now() < deadline) std::this_thread::sleep_for(kPoll);
  return code;
}

int Child::stop(milliseconds patience) {
  if (pid_ < 0) return exit_code_;
  ::kill(pid_, SIGTERM);
  if (const auto code = wait(patience)) return *code;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return exit_code_ = decode(status);
}

std::string tail(const std::filesystem::path& file, size_t lines) {
  std::ifstream in(file);
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(line);
    if (last.size() > lines) last.pop_front();
  }
  std::string out;
  for (const std::string& line : last) out += "    " + line + "\n";
  return out;
}

uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
  ::close(fd);
  return bound ? ntohs(address.sin_port) : uint16_t{0};
}

}  // namespace sluice::demo
