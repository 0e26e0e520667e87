#include "host/plugins/crash.h"

#include <execinfo.h>
#include <link.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

constexpr int kFramesMax = 64;

struct Code {
  uintptr_t begin = 0, end = 0;
  const char* name = nullptr;
};

// Only ever appended to: what stands below the count does not change.
std::array<Code, kCrashNamesMax> table;
std::atomic<size_t> count{0};

const char* name_of(uintptr_t address) {
  const size_t known = count.load(std::memory_order_acquire);
  for (size_t i = 0; i < known; ++i)
    if (table[i].begin <= address && address < table[i].end) return table[i].name;
  return nullptr;
}

uintptr_t instruction(const void* context) {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return static_cast<uintptr_t>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return machine.pc;
#else
  return (void)machine, 0;
#endif
}

const char* signal_name(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGABRT";
  }
}

void on_crash(int number, siginfo_t*, void* context) {
  const char* name = name_of(instruction(context));
  std::array<void*, kFramesMax> frames;
  const int depth = name != nullptr ? 0 : ::backtrace(frames.data(), kFramesMax);
  for (int i = 0; i < depth && name == nullptr; ++i)
    name = name_of(reinterpret_cast<uintptr_t>(frames[static_cast<size_t>(i)]));
  if (name != nullptr) {
    const auto part = [](const char* text) {
      return iovec{const_cast<char*>(text), std::strlen(text)};
    };
    const std::array<iovec, 5> line{part("sluice: "), part(signal_name(number)),
                                    part(" inside the plugin "), part(name), part("\n")};
    [[maybe_unused]] const ssize_t written = ::writev(STDERR_FILENO, line.data(), line.size());
  }
  ::signal(number, SIG_DFL);
  ::raise(number);  // blocked until this returns
}

}  // namespace

void install_crash_handler() {
  void* frame;
  ::backtrace(&frame, 1);  // loads what it needs now, not in the handler
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction action {};
    action.sa_sigaction = &on_crash;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(number, &action, nullptr);
  }
}

void name_image(const void* address, const std::string& name) {
  struct Search {
    uintptr_t address;
    Code found;
  } search{reinterpret_cast<uintptr_t>(address), {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* image, size_t, void* to) {
        auto& wanted = *static_cast<Search*>(to);
        Code code{UINTPTR_MAX, 0, nullptr};
        for (int i = 0; i < image->dlpi_phnum; ++i) {
          const auto& segment = image->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const uintptr_t begin = image->dlpi_addr + segment.p_vaddr;
          code.begin = std::min(code.begin, begin);
          code.end = std::max(code.end, begin + segment.p_memsz);
        }
        if (wanted.address < code.begin || wanted.address >= code.end) return 0;
        wanted.found = code;
        return 1;
      },
      &search);
  const size_t at = count.load(std::memory_order_relaxed);
  if (search.found.end == 0 || at == table.size()) return;
  search.found.name = ::strdup(name.c_str());
  table[at] = search.found;
  count.store(at + 1, std::memory_order_release);
}

}  // namespace sluice::plugins
