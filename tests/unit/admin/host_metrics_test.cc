#include "host/admin/host_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/admin/exposition_check.h"

namespace sluice {
namespace {

using testing::IsEmpty;

constexpr uint64_t kMillisecond = 1'000'000;

Exposed read(const HostMetrics& requests) {
  metrics::Families families;
  requests.write(families);
  return read_exposition(families.text());
}

RequestRecord finished(std::string_view band, std::string_view model) {
  RequestRecord out;
  out.band = band;
  out.model = model;
  out.status = 200;
  out.parked = true;
  return out;
}

TEST(HostMetrics, CountsByBandOutcomeStatusAndModel) {
  HostMetrics requests;
  RequestRecord good = finished("critical", "llama");
  good.prompt_tokens = 100;
  good.cached_tokens = 40;
  good.output_tokens = 7;
  good.bytes_in = 10;
  good.bytes_out = 20;
  requests.record(1, good);
  requests.record(1, good);
  RequestRecord full = finished("critical", "llama");
  full.outcome = Outcome::kRejectedFull;
  full.status = 429;
  requests.record(1, full);
  const Exposed out = read(requests);
  EXPECT_THAT(out.errors, IsEmpty());
  EXPECT_EQ(out.at("sluice_requests_total{band=\"critical\",outcome=\"completed\",status=\"200\"}"),
            2);
  EXPECT_EQ(
      out.at("sluice_requests_total{band=\"critical\",outcome=\"rejected_full\",status=\"429\"}"),
      1);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"llama\",outcome=\"completed\"}"), 2);
  EXPECT_EQ(out.at("sluice_tokens_total{band=\"critical\",kind=\"cached\"}"), 80);
  EXPECT_EQ(out.at("sluice_model_tokens_total{model=\"llama\",kind=\"output\"}"), 14);
  EXPECT_EQ(out.at("sluice_body_bytes_total{direction=\"out\"}"), 40);
}

TEST(HostMetrics, HistogramsTakeOnlyWhatThereWas) {
  HostMetrics requests;
  RequestRecord record = finished("b", "m");
  record.queue_ns = 10 * kMillisecond;
  record.first_byte_ns = 300 * kMillisecond;
  record.total_ns = 2000 * kMillisecond;
  requests.record(1, record);
  record.parked = false;     // never parked: no place in the queue's histogram
  record.first_byte_ns = 0;  // nothing came back
  record.total_ns = 700'000 * kMillisecond;
  requests.record(1, record);
  const Exposed out = read(requests);
  EXPECT_THAT(out.errors, IsEmpty());
  EXPECT_EQ(out.at("sluice_queue_seconds_count{band=\"b\"}"), 1);
  EXPECT_EQ(out.at("sluice_queue_seconds_bucket{band=\"b\",le=\"0.005\"}"), 0);
  EXPECT_EQ(out.at("sluice_queue_seconds_bucket{band=\"b\",le=\"0.01\"}"), 1)
      << "bounds are inclusive";
  EXPECT_EQ(out.at("sluice_ttfb_seconds_count{band=\"b\"}"), 1);
  EXPECT_EQ(out.at("sluice_ttfb_seconds_sum{band=\"b\"}"), 0.3);
  EXPECT_EQ(out.at("sluice_duration_seconds_bucket{band=\"b\",le=\"600\"}"), 1);
  EXPECT_EQ(out.at("sluice_duration_seconds_bucket{band=\"b\",le=\"+Inf\"}"), 2);
}

TEST(HostMetrics, InventedModelsShareOneSeries) {
  HostMetrics requests;
  for (int i = 0; i < 5000; i++) {
    const std::string name = "invented-" + std::to_string(i);
    RequestRecord record = finished("b", name);
    record.outcome = i % 2 ? Outcome::kRejectedUnknownModel : Outcome::kRejectedBad;
    requests.record(1, record);
  }
  const Exposed out = read(requests);
  EXPECT_EQ(out.families.at("sluice_model_requests_total").samples.size(), 2u);
}

TEST(HostMetrics, ModelsAreBoundedAndIdleOnesMakeRoom) {
  HostMetrics requests;
  for (size_t i = 0; i < HostMetrics::kModelsKept + 500; i++) {
    requests.record(1, finished("b", "m" + std::to_string(i)));
  }
  Exposed out = read(requests);
  EXPECT_LE(out.families.at("sluice_model_requests_total").samples.size(),
            HostMetrics::kModelsKept + 1);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"m0\",outcome=\"completed\"}"), 1);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"(other)\",outcome=\"completed\"}"), 500);

  const TimeNs later = HostMetrics::kModelIdleNs + 2 * HostMetrics::kModelSweepNs;
  requests.record(later - 1, finished("b", "m0"));
  requests.record(later, finished("b", "new"));
  out = read(requests);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"new\",outcome=\"completed\"}"), 1);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"m0\",outcome=\"completed\"}"), 2);
  EXPECT_EQ(out.at("sluice_model_requests_total{model=\"(other)\",outcome=\"completed\"}"), 500);
}

TEST(HostMetrics, StatusesAndBandsAreBounded) {
  HostMetrics requests;
  for (uint16_t status = 0; status < 1000; status++) {
    for (int band = 0; band < 10; band++) {
      const std::string name = "b" + std::to_string(status) + "-" + std::to_string(band);
      RequestRecord record = finished(name, "m");
      record.status = status;
      requests.record(1, record);
    }
  }
  const Exposed out = read(requests);
  EXPECT_THAT(out.errors, IsEmpty());
  EXPECT_LE(out.families.at("sluice_requests_total").samples.size(),
            HostMetrics::kStatusesKept + kOutcomes);
  double sum = 0;
  for (const auto& [series, value] : out.families.at("sluice_requests_total").samples) sum += value;
  EXPECT_EQ(sum, 10000);
  EXPECT_LE(out.families.at("sluice_queue_seconds").samples.size(),
            (HostMetrics::kBandsKept + 1) * 18);
}

TEST(HostMetrics, ThreadsLoseNothing) {
  HostMetrics requests;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 1000; n++) {
        requests.record(1, finished("b", i % 2 ? "x" : "y"));
        if (n % 100 == 0) (void)read(requests);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(
      read(requests).at("sluice_requests_total{band=\"b\",outcome=\"completed\",status=\"200\"}"),
      4000);
}

}  // namespace
}  // namespace sluice
