// What the host offers to one loaded plugin file: sluice_host_v1 and what stands behind it.
//
// Threads: log is [any] and lock-free up to the logger itself; fault concerns the hot call that its
// own thread is in; the others answer only during a create that runs within a CreateScope on the
// same thread. Lives for ever, as the ABI promises:
// never destroyed once handed out.
#pragma once

#include <sluice/abi.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "host/plugins/declared.h"

namespace sluice::plugins {

class HostServices {
 public:
  // PACKAGE stands before each line that the plugin logs. COLUMNS must live for ever, too.
  HostServices(std::string package, ColumnRegistry& columns);
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  const sluice_host_v1* host() const { return &host_; }

  // While it lives, the calls that are allowed only in create are answered.
  class CreateScope {
   public:
    explicit CreateScope(HostServices& services);
    ~CreateScope();
    CreateScope(const CreateScope&) = delete;
    CreateScope& operator=(const CreateScope&) = delete;
    uint64_t retain_idle_ns() const { return retain_idle_ns_; }

   private:
    friend class HostServices;
    HostServices& services_;
    uint64_t retain_idle_ns_ = 0;
  };

 private:
  static void log(void* ctx, int32_t level, const char* text, size_t n);
  static uint32_t declare_int(void* ctx, uint32_t table, const char* source, int64_t absent);
  static uint32_t declare_float(void* ctx, uint32_t table, const char* source, double absent);
  static void retain_idle_flows(void* ctx, uint64_t ns);
  static const void* extension(void* ctx, const char* id);
  static void fault(void* ctx, const char* text, size_t n);
  // CTX, if it is in create on this thread; else null, with a line in the log.
  static CreateScope* in_create(void* ctx, const char* function);

  bool may_log();

  std::string package_;
  ColumnRegistry& columns_;
  sluice_host_v1 host_;
  std::atomic<uint64_t> second_{0};  // that lines_ belongs to
  std::atomic<uint64_t> lines_{0};   // written or dropped in it
};

}  // namespace sluice::plugins
