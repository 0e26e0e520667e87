#include "host/plugins/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

using testing::HasSubstr;

// Collects the log while it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string text() const { return stream_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream stream_;
};

TEST(Columns, IndicesAreStableAndShared) {
  ColumnRegistry columns;
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:X-One", 0), 0U);
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "hash:header:x-one", 0), 1U);
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:x-one", 0),
            0U);  // header names have no case
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:x-one", 5),
            2U);  // another column: other absent rows
  EXPECT_EQ(columns.declare_float(SLUICE_REQUESTS, "header:x-one", 0), 0U);
  EXPECT_EQ(columns.declare_int(SLUICE_ENDPOINTS, "hash:label:zone", 0), 0U);
  EXPECT_EQ(columns.declare_float(SLUICE_ENDPOINTS, "metric:vllm:queue", 0), 0U);
  EXPECT_EQ(columns.declare_float(SLUICE_ENDPOINTS, "metric:Vllm:queue", 0),
            1U);  // metric names do
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(columns.declare_float(SLUICE_REQUESTS, "header:x-one", nan),
            columns.declare_float(SLUICE_REQUESTS, "header:x-one", nan));
  EXPECT_EQ(columns.snapshot().request_ints.size(), 3U);
  EXPECT_EQ(columns.snapshot().request_ints[1].source, Source::kHashHeader);
}

TEST(Columns, UnknownSourcesAreRefused) {
  ColumnRegistry columns;
  for (const char* source :
       {"", "x", "header:", "header:a b", "header:a\r\n", "metric:m", "hash:label:zone"})
    EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, source, 0), SLUICE_NONE) << source;
  EXPECT_EQ(columns.declare_float(SLUICE_REQUESTS, "hash:header:a", 0), SLUICE_NONE);
  EXPECT_EQ(columns.declare_int(SLUICE_ENDPOINTS, "metric:m", 0), SLUICE_NONE);
  EXPECT_EQ(columns.declare_float(SLUICE_ENDPOINTS, "hash:label:zone", 0), SLUICE_NONE);
  EXPECT_EQ(columns.declare_int(SLUICE_ENDPOINTS, "header:a", 0), SLUICE_NONE);
  EXPECT_EQ(columns.declare_int(99, "header:a", 0), SLUICE_NONE);
  EXPECT_EQ(
      columns.declare_int(SLUICE_REQUESTS, "header:" + std::string(kColumnNameMax + 1, 'a'), 0),
      SLUICE_NONE);
}

TEST(Columns, AreLimited) {
  ColumnRegistry columns;
  for (size_t i = 0; i < kColumnsMax; ++i)
    EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:h" + std::to_string(i), 0), i);
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:one-more", 0), SLUICE_NONE);
  EXPECT_EQ(columns.declare_int(SLUICE_REQUESTS, "header:h0", 0), 0U);
}

TEST(Services, DeclaringIsForCreateOnly) {
  const CapturedLog log;
  ColumnRegistry columns;
  HostServices services("com.example.a", columns), other("com.example.b", columns);
  const sluice_host_v1* host = services.host();
  EXPECT_EQ(host->declare_int(host->ctx, SLUICE_REQUESTS, "header:a", 0), SLUICE_NONE);
  EXPECT_THAT(log.text(), HasSubstr("[com.example.a] called declare_int outside create"));
  {
    const HostServices::CreateScope scope(services);
    EXPECT_EQ(host->declare_int(host->ctx, SLUICE_REQUESTS, "header:a", 0), 0U);
    EXPECT_EQ(host->declare_int(host->ctx, SLUICE_REQUESTS, nullptr, 0), SLUICE_NONE);
    host->retain_idle_flows(host->ctx, 7);
    host->retain_idle_flows(host->ctx, 3);
    EXPECT_EQ(scope.retain_idle_ns(), 7U);  // the longest counts
    // Nobody else is in create: neither another plugin nor another thread.
    EXPECT_EQ(other.host()->declare_int(other.host()->ctx, SLUICE_REQUESTS, "header:b", 0),
              SLUICE_NONE);
    std::thread([&] {
      EXPECT_EQ(host->declare_int(host->ctx, SLUICE_REQUESTS, "header:b", 0), SLUICE_NONE);
    }).join();
  }
  host->retain_idle_flows(host->ctx, 99);
  EXPECT_EQ(columns.snapshot().request_ints.size(), 1U);
  EXPECT_EQ(host->extension(host->ctx, "sluice.anything/1"), nullptr);
}

TEST(Services, TheLogIsTamedAndLimited) {
  const CapturedLog log;
  ColumnRegistry columns;
  HostServices services("com.example.a", columns);
  const sluice_host_v1* host = services.host();
  host->log(host->ctx, SLUICE_LOG_ERROR, "two\nlines\x1b[31m and more", 9);
  EXPECT_EQ(log.text(), "error [com.example.a] two\xef\xbf\xbdlines\n");
  host->log(host->ctx, SLUICE_LOG_INFO, nullptr, 10);
  for (int i = 0; i < 1000; ++i) host->log(host->ctx, SLUICE_LOG_INFO, "again", 5);
  const std::string text = log.text();
  const auto lines = std::count(text.begin(), text.end(), '\n');
  EXPECT_GE(lines, static_cast<ptrdiff_t>(kLogLinesPerSecondMax));
  EXPECT_LE(lines, static_cast<ptrdiff_t>(
                       3 * kLogLinesPerSecondMax));  // the loop may see a second or two begin
}

TEST(Services, ManyThreadsMayLog) {
  const CapturedLog log;
  ColumnRegistry columns;
  HostServices services("com.example.a", columns);
  const sluice_host_v1* host = services.host();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int line = 0; line < 200; ++line) host->log(host->ctx, SLUICE_LOG_INFO, "x", 1);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(log.text(), HasSubstr("info [com.example.a] x\n"));
}

}  // namespace
}  // namespace sluice::plugins
