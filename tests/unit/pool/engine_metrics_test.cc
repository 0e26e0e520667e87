#include "host/pool/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

using config::EngineKind;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(EngineMetrics, Vllm) {
  EngineReading page =
      read_engine_metrics(EngineKind::kVllm,
                          "vllm:num_requests_waiting{model_name=\"m\"} 3.0\n"
                          "vllm:num_requests_running{model_name=\"m\"} 8.0\n"
                          "vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25\n"
                          "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"1000\"} 1.0\n",
                          {});
  EXPECT_TRUE(page.usable);
  EXPECT_EQ(page.report.waiting, 3u);
  EXPECT_EQ(page.report.running, 8u);
  EXPECT_FLOAT_EQ(page.report.kv_used, 0.25f);
  EXPECT_EQ(page.report.kv_tokens_max, 16000u);
  EXPECT_THAT(page.adapters, IsEmpty());
}

TEST(EngineMetrics, SumsTheSeriesOfOneServerAndTakesTheFullestCache) {
  EngineReading page = read_engine_metrics(EngineKind::kVllm,
                                           "vllm:num_requests_waiting{engine=\"0\"} 3\n"
                                           "vllm:num_requests_waiting{engine=\"1\"} 4\n"
                                           "vllm:num_requests_running{engine=\"0\"} 8\n"
                                           "vllm:num_requests_running{engine=\"1\"} 2\n"
                                           "vllm:kv_cache_usage_perc{engine=\"0\"} 0.75\n"
                                           "vllm:kv_cache_usage_perc{engine=\"1\"} 0.5\n",
                                           {});
  EXPECT_EQ(page.report.waiting, 7u);
  EXPECT_EQ(page.report.running, 10u);
  EXPECT_FLOAT_EQ(page.report.kv_used, 0.75f);
}

TEST(EngineMetrics, NewestLoraSeriesNamesTheAdapters) {
  EngineReading page =
      read_engine_metrics(EngineKind::kVllm,
                          "vllm:num_requests_running 1\n"
                          "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"old\","
                          "waiting_lora_adapters=\"\"} 100.5\n"
                          "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"b, "
                          "a\",waiting_lora_adapters=\"a,c\"} 200.5\n"
                          "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"older\","
                          "waiting_lora_adapters=\"\"} 50\n",
                          {});
  EXPECT_THAT(page.adapters, ElementsAre("a", "b", "c"));
}

TEST(EngineMetrics, AdapterListsAreBounded) {
  std::string list = std::string(kModelNameBytesMax + 1, 'x');
  for (size_t i = 0; i < 2 * kModelsPerEndpointMax; i++) list += "," + std::to_string(i);
  EngineReading page = read_engine_metrics(
      EngineKind::kVllm, "vllm:lora_requests_info{running_lora_adapters=\"" + list + "\"} 1\n", {});
  EXPECT_EQ(page.adapters.size(), kModelsPerEndpointMax);
  EXPECT_THAT(page.adapters, testing::Each(testing::SizeIs(testing::Le(kModelNameBytesMax))));
}

TEST(EngineMetrics, Sglang) {
  EngineReading page =
      read_engine_metrics(EngineKind::kSglang,
                          "sglang:num_queue_reqs{dp_rank=\"0\"} 1\n"
                          "sglang:num_queue_reqs{dp_rank=\"1\"} 1\n"
                          "sglang:num_running_reqs 5\nsglang:token_usage 0.5\n"
                          "sglang:cache_config_info{page_size=\"64\",num_pages=\"10\"} 1\n"
                          "vllm:num_requests_waiting 99\n",
                          {});
  EXPECT_EQ(page.report.waiting, 2u);
  EXPECT_EQ(page.report.running, 5u);
  EXPECT_FLOAT_EQ(page.report.kv_used, 0.5f);
  EXPECT_EQ(page.report.kv_tokens_max, 640u);
}

TEST(EngineMetrics, TensorRtLlmServe) {
  EngineReading page =
      read_engine_metrics(EngineKind::kTrtllm,
                          "trtllm_num_requests_waiting 2\ntrtllm_num_requests_running "
                          "6\ntrtllm_kv_cache_utilization 0.125\n"
                          "trtllm_kv_cache_tokens_per_block 32\ntrtllm_kv_cache_max_blocks 100\n",
                          {});
  EXPECT_EQ(page.report.waiting, 2u);
  EXPECT_EQ(page.report.running, 6u);
  EXPECT_FLOAT_EQ(page.report.kv_used, 0.125f);
  EXPECT_EQ(page.report.kv_tokens_max, 3200u);
}

TEST(EngineMetrics, TensorRtLlmBehindTriton) {
  EngineReading page = read_engine_metrics(
      EngineKind::kTrtllm,
      "nv_trt_llm_request_metrics{model=\"m\",request_type=\"waiting\",version=\"1\"} 4\n"
      "nv_trt_llm_request_metrics{model=\"m\",request_type=\"scheduled\",version=\"1\"} 7\n"
      "nv_trt_llm_request_metrics{model=\"m\",request_type=\"max\",version=\"1\"} 512\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\"} 0.5\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"tokens_per\"} 64\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\"} 10\n",
      {});
  EXPECT_EQ(page.report.waiting, 4u);
  EXPECT_EQ(page.report.running, 7u);
  EXPECT_FLOAT_EQ(page.report.kv_used, 0.5f);
  EXPECT_EQ(page.report.kv_tokens_max, 640u);
}

TEST(EngineMetrics, NonsenseCountsAsMissingAndNeverWraps) {
  EngineReading page =
      read_engine_metrics(EngineKind::kVllm,
                          "vllm:num_requests_waiting{engine=\"0\"} NaN\n"
                          "vllm:num_requests_waiting{engine=\"1\"} -5\n"
                          "vllm:num_requests_waiting{engine=\"2\"} +Inf\n"
                          "vllm:num_requests_running 1e18\n"
                          "vllm:kv_cache_usage_perc 7\n"
                          "vllm:cache_config_info{block_size=\"None\",num_gpu_blocks=\"5\"} 1\n",
                          {});
  EXPECT_TRUE(page.usable);
  EXPECT_EQ(page.report.waiting, 0u);
  EXPECT_EQ(page.report.running, UINT32_MAX - 1);
  EXPECT_FLOAT_EQ(page.report.kv_used, 1.0f);
  EXPECT_EQ(page.report.kv_tokens_max, 0u);
}

TEST(EngineMetrics, APageOfSomethingElseIsNotUsable) {
  EXPECT_FALSE(
      read_engine_metrics(EngineKind::kVllm, "<html>404</html>\ngo_goroutines 7\n", {}).usable);
  EXPECT_FALSE(read_engine_metrics(EngineKind::kVllm, "", {}).usable);
  EXPECT_FALSE(
      read_engine_metrics(EngineKind::kVllm, "vllm:num_requests_waiting NaN\n", {}).usable);
}

TEST(EngineMetrics, DeclaredColumnsComeInOrderAndFallBackToAbsent) {
  std::vector<EndpointColumn> columns = {
      {EndpointColumn::Kind::kMetric, "gpu_temperature", -1, 0},
      {EndpointColumn::Kind::kLabelHash, "zone", 0, 7},
      {EndpointColumn::Kind::kMetric, "no_such", 0.5, 0},
      {EndpointColumn::Kind::kMetric, "broken", 2, 0},
  };
  EngineReading page = read_engine_metrics(
      EngineKind::kVllm,
      "gpu_temperature{gpu=\"0\"} 60\ngpu_temperature{gpu=\"1\"} -10\nbroken NaN\n", columns);
  EXPECT_THAT(page.report.floats, ElementsAre(50, 0.5, 2));
}

}  // namespace
}  // namespace sluice
