#include "host/plugins/crash.h"

#include <gtest/gtest.h>

#include <csignal>

#include "tests/unit/plugins/support.h"

namespace sluice::plugins {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they handle crashes themselves

// Asks the policy of the fixture crashes_later, as a host would long after it was loaded.
void ask(const Policy& policy, uint64_t ready) {
  install_crash_handler();
  sluice_flows flows{};
  flows.struct_size = sizeof flows;
  flows.slots = 64;
  flows.ready_bits = &ready;
  uint64_t retry_ns = 0;
  const auto* vtable = static_cast<const sluice_fairness_v1*>(policy.find(SLUICE_FAIRNESS_ID));
  vtable->pick(policy.object(), nullptr, &flows, &retry_ns);
}

TEST(Crash, ThePluginIsNamedAndTheSignalEndsTheProcess) {
  const TempDir dir;
  dir.put("crashes_later", "culprit.so");
  config::Diagnostics diagnostics;
  Loader loader(dir.search());
  std::vector<Loader::Resolved> all{
      loader.resolve(use("com.example.later/first"), Kind::kFairness, diagnostics)};
  ASSERT_EQ(loader.load(all, diagnostics), Loader::Status::kOk) << text_of(diagnostics);
  const Policy& policy = *all[0].policy;
  EXPECT_EXIT(ask(policy, 2), testing::KilledBySignal(SIGSEGV),
              "sluice: SIGSEGV inside the plugin com.example.later 1.0.0 .*/culprit.so");
  EXPECT_EXIT(ask(policy, 1), testing::KilledBySignal(SIGABRT),
              "sluice: SIGABRT inside the plugin com.example.later 1.0.0 .*/culprit.so");
}

TEST(Crash, WhatIsNoPluginIsNotBlamedOnOne) {
  EXPECT_EXIT((install_crash_handler(), ::raise(SIGSEGV)), testing::KilledBySignal(SIGSEGV), "^$");
}

#endif

}  // namespace
}  // namespace sluice::plugins
