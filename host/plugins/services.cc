#include "host/plugins/services.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>

#include "core/policy_slot.h"
#include "host/config/text.h"
#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

spdlog::level::level_enum level_of(int32_t level) {
  switch (level) {
    case SLUICE_LOG_DEBUG:
      return spdlog::level::debug;
    case SLUICE_LOG_WARN:
      return spdlog::level::warn;
    case SLUICE_LOG_ERROR:
      return spdlog::level::err;
    default:
      return spdlog::level::info;
  }
}

uint64_t this_second() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

std::string_view bounded(const char* source) {
  return source == nullptr ? std::string_view()
                           : std::string_view(source, strnlen(source, 2 * kColumnNameMax));
}

// The create that this thread is in.
thread_local HostServices::CreateScope* creating = nullptr;

}  // namespace

HostServices::HostServices(std::string package, ColumnRegistry& columns)
    : package_(std::move(package)),
      columns_(columns),
      host_{sizeof(sluice_host_v1), SLUICE_ABI_MINOR,   this,       &log,  &declare_int,
            &declare_float,         &retain_idle_flows, &extension, &fault} {}

HostServices::CreateScope::CreateScope(HostServices& services) : services_(services) {
  creating = this;
}
HostServices::CreateScope::~CreateScope() { creating = nullptr; }

// At the turn of a second two threads may both begin it, which lets a few lines more through:
// harmless.
bool HostServices::may_log() {
  const uint64_t now = this_second();
  uint64_t second = second_.load(std::memory_order_relaxed);
  if (second != now && second_.compare_exchange_strong(second, now, std::memory_order_relaxed)) {
    const uint64_t before = lines_.exchange(0, std::memory_order_relaxed);
    if (before > kLogLinesPerSecondMax)
      spdlog::warn("[{}] {} lines of this plugin were dropped", package_,
                   before - kLogLinesPerSecondMax);
  }
  return lines_.fetch_add(1, std::memory_order_relaxed) < kLogLinesPerSecondMax;
}

void HostServices::log(void* ctx, int32_t level, const char* text, size_t n) {
  auto& self = *static_cast<HostServices*>(ctx);
  if (text == nullptr || !spdlog::should_log(level_of(level)) || !self.may_log()) return;
  spdlog::log(level_of(level), "[{}] {}", self.package_,
              config::printable(std::string_view(text, std::min(n, kLogBytesMax))));
}

HostServices::CreateScope* HostServices::in_create(void* ctx, const char* function) {
  auto& self = *static_cast<HostServices*>(ctx);
  if (creating != nullptr && &creating->services_ == &self) return creating;
  if (self.may_log())
    spdlog::warn("[{}] called {} outside create; it was ignored", self.package_, function);
  return nullptr;
}

uint32_t HostServices::declare_int(void* ctx, uint32_t table, const char* source, int64_t absent) {
  const CreateScope* scope = in_create(ctx, "declare_int");
  return scope == nullptr ? SLUICE_NONE
                          : scope->services_.columns_.declare_int(table, bounded(source), absent);
}

uint32_t HostServices::declare_float(void* ctx, uint32_t table, const char* source, double absent) {
  const CreateScope* scope = in_create(ctx, "declare_float");
  return scope == nullptr ? SLUICE_NONE
                          : scope->services_.columns_.declare_float(table, bounded(source), absent);
}

void HostServices::retain_idle_flows(void* ctx, uint64_t ns) {
  if (CreateScope* scope = in_create(ctx, "retain_idle_flows"))
    scope->retain_idle_ns_ = std::max(scope->retain_idle_ns_, ns);
}

const void* HostServices::extension(void*, const char*) { return nullptr; }

void HostServices::fault(void*, const char* text, size_t n) {
  report_fault(text == nullptr ? std::string_view() : std::string_view(text, n));
}

}  // namespace sluice::plugins
