#include "host/pool/prometheus_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace sluice {
namespace {

struct Read {
  std::vector<MetricSample> samples;
  size_t malformed = 0;
};

Read read(std::string_view page) {
  Read out;
  PrometheusText text(page);
  for (MetricSample sample; text.next(sample);) out.samples.push_back(sample);
  out.malformed = text.malformed();
  return out;
}

TEST(PrometheusText, ReadsPlainLabelledAndTimedSamples) {
  Read page = read(
      "# HELP x_y nothing\n# TYPE x_y gauge\n"
      "x_y 3\n"
      "vllm:waiting{engine=\"0\",model_name=\"a b\"} 4.5 1700000000000\n"
      "  spaced { a = \"1\" , b=\"2\", } 7\t\n"
      "\n"
      "last{} 1e3");
  ASSERT_EQ(page.samples.size(), 4u);
  EXPECT_EQ(page.malformed, 0u);
  EXPECT_EQ(page.samples[0].name, "x_y");
  EXPECT_EQ(page.samples[0].value, 3);
  EXPECT_EQ(page.samples[1].name, "vllm:waiting");
  EXPECT_EQ(find_label(page.samples[1].labels, "model_name"), "a b");
  EXPECT_EQ(page.samples[1].value, 4.5);
  EXPECT_EQ(find_label(page.samples[2].labels, "b"), "2");
  EXPECT_EQ(find_label(page.samples[2].labels, "c"), std::nullopt);
  EXPECT_EQ(page.samples[3].value, 1000);
}

TEST(PrometheusText, BracesQuotesAndCommasInsideValuesDoNotEndThem) {
  Read page = read("m{a=\"}\",b=\"x\\\"},y\\\\\",c=\",\"} 1 # {id=\"1\"} 2\n");
  ASSERT_EQ(page.samples.size(), 1u);
  EXPECT_EQ(find_label(page.samples[0].labels, "a"), "}");
  EXPECT_EQ(unescape_label(*find_label(page.samples[0].labels, "b")), "x\"},y\\");
  EXPECT_EQ(find_label(page.samples[0].labels, "c"), ",");
}

TEST(PrometheusText, UnescapesOnlyWhatTheFormatDefines) {
  EXPECT_EQ(unescape_label("a\\nb\\\\n\\\"\\t\\"), "a\nb\\n\"\\t\\");
}

TEST(PrometheusText, SpecialValues) {
  Read page = read("a NaN\nb +Inf\nc -Inf\nd -2.5\ne +4\nf nan\ng .5\n");
  ASSERT_EQ(page.samples.size(), 7u);
  EXPECT_TRUE(std::isnan(page.samples[0].value));
  EXPECT_EQ(page.samples[1].value, HUGE_VAL);
  EXPECT_EQ(page.samples[2].value, -HUGE_VAL);
  EXPECT_EQ(page.samples[3].value, -2.5);
  EXPECT_EQ(page.samples[4].value, 4);
  EXPECT_EQ(page.samples[6].value, 0.5);
}

class Malformed : public testing::TestWithParam<const char*> {};

TEST_P(Malformed, LineIsCountedAndItsNeighboursAreRead) {
  const std::string text = std::string("before 1\n") + GetParam() + "\nafter 2\n";
  Read page = read(text);
  ASSERT_EQ(page.samples.size(), 2u) << GetParam();
  EXPECT_EQ(page.samples[0].name, "before");
  EXPECT_EQ(page.samples[1].value, 2);
  EXPECT_EQ(page.malformed, 1u);
}

INSTANTIATE_TEST_SUITE_P(Lines, Malformed,
                         testing::Values("name", "name ", "1name 2", "name x", "name 1x",
                                         "name --1", "name +-1", "name 0x10", "name 1 2 3",
                                         "name 1 x", "name 1 NaN", "name{a=\"1\" 2",
                                         "name{a=\"1} 2", "name{a=1} 2", "name{a} 2",
                                         "name{=\"1\"} 2", "name{a=\"1\"b=\"2\"} 2",
                                         "name{a=\"1\\\"} 2", "name{a=\"1\\", "name{,} 2",
                                         "name{a:b=\"1\"} 2", "{} 1", "name} 1", "name 1e999",
                                         "<html>", "name{a=\"1\"}"));

TEST(PrometheusText, WindowsLineEnds) {
  Read page = read("a 1\r\nb{x=\"y\"} 2\r\n");
  ASSERT_EQ(page.samples.size(), 2u);
  EXPECT_EQ(page.malformed, 0u);
}

// Whatever a broken server sends: it ends, and every view lies inside the page.
TEST(PrometheusText, SurvivesMutations) {
  const std::string good =
      "# TYPE a gauge\nvllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"a,b\"} "
      "1.7e9\n"
      "x{y=\"\\\\\\\"\"} NaN 12\r\nz 1 # {t=\"u\"} 3\n";
  std::mt19937 random(1);
  for (int round = 0; round < 20000; round++) {
    std::string page = good;
    int changes = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < changes && !page.empty(); i++) {
      size_t at = random() % page.size();
      switch (random() % 4) {
        case 0:
          page[at] = static_cast<char>(random());
          break;
        case 1:
          page.erase(at, 1 + random() % 5);
          break;
        case 2:
          page.insert(at, 1, "{}\"\\,=\n\r #\0"[random() % 11]);
          break;
        default:
          page.resize(at);
      }
    }
    // An exact heap copy, so that a sanitizer sees one byte too many.
    std::vector<char> exact(page.begin(), page.end());
    PrometheusText text({exact.data(), exact.size()});
    size_t samples = 0;
    for (MetricSample sample; text.next(sample); samples++) {
      ASSERT_FALSE(sample.name.empty());
      ASSERT_GE(sample.name.data(), exact.data());
      ASSERT_LE(sample.name.data() + sample.name.size(), exact.data() + exact.size());
      (void)find_label(sample.labels, "no such label");
      if (auto value = find_label(sample.labels, "y")) (void)unescape_label(*value);
    }
    size_t lines = 1 + static_cast<size_t>(std::count(page.begin(), page.end(), '\n'));
    ASSERT_LE(samples + text.malformed(), lines);
  }
}

}  // namespace
}  // namespace sluice
