#include "host/demo/serving.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "host/net/ask.h"

namespace sluice::demo {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{15};
constexpr std::chrono::milliseconds kPoll{20};

}  // namespace

std::pair<uint16_t, uint16_t> free_ports() {
  const uint16_t one = free_port();
  uint16_t other = free_port();
  while (other == one && other != 0) other = free_port();
  return {one, other};
}

Result<Child> start_serving(const std::filesystem::path& pipeline, uint16_t admin_port,
                            const std::filesystem::path& log, const char* program) {
  auto child = Child::start({"serve", "-c", pipeline.string()}, log, false, program);
  if (!child) return Error{child.error()};
  const auto deadline = Clock::now() + kPatience;
  while (ask(admin_port, http::verb::get, "/readyz").result_int() != 200) {
    const bool ended = child->exit_code().has_value();
    if (ended || Clock::now() > deadline) {
      return Error{fmt::format("the host {}\n{}", ended ? "ended at once" : "does not become ready",
                               tail(child->log()))};
    }
    std::this_thread::sleep_for(kPoll);
  }
  return std::move(*child);
}

}  // namespace sluice::demo
