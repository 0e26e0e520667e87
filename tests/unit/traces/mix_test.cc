#include "host/traces/mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "host/traces/native.h"
#include "tests/unit/traces/traces.h"

namespace sluice::traces {
namespace {

const std::string kHeader = std::string(kNativeHeader) + "\n";

// N requests, ten a second, without flow and objective.
std::string plain(int n) {
  std::string out = kHeader;
  for (int i = 0; i < n; ++i) out += std::to_string(i) + "e-1,,,,10,10\n";
  return out;
}

TraceOptions mixed(uint64_t seed = 1) {
  TraceOptions options;
  options.tenants = parse_tenants("zipf:1.1:20").value();
  options.bands = parse_bands("critical=0.1,default=0.6,sheddable=0.3").value();
  options.seed = seed;
  return options;
}

TEST(Mix, TenantsHaveSharesByZipf) {
  constexpr int kRequests = 100'000;
  const auto rows = drained(plain(kRequests), mixed()).rows;
  std::map<std::string, double> share;
  for (const Taken& row : rows) share[row.flow] += 1.0 / kRequests;
  EXPECT_EQ(share.size(), 20u);
  double sum = 0;
  for (int k = 1; k <= 20; ++k) sum += std::pow(k, -1.1);
  for (int k = 1; k <= 20; ++k) {
    const double wanted = std::pow(k, -1.1) / sum;
    EXPECT_NEAR(share["tenant-" + std::to_string(k - 1)], wanted, 0.005) << k;
  }
}

TEST(Mix, BandsHaveTheirSharesForEveryTenant) {
  constexpr int kRequests = 100'000;
  std::map<std::string, std::map<std::string, double>> bands;
  std::map<std::string, double> of_tenant;
  for (const Taken& row : drained(plain(kRequests), mixed()).rows) {
    bands[row.flow][row.band] += 1;
    of_tenant[row.flow] += 1;
    EXPECT_EQ(row.objective, "");
  }
  for (const char* tenant : {"tenant-0", "tenant-1", "tenant-2"}) {
    EXPECT_NEAR(bands[tenant]["critical"] / of_tenant[tenant], 0.1, 0.015) << tenant;
    EXPECT_NEAR(bands[tenant]["default"] / of_tenant[tenant], 0.6, 0.015) << tenant;
    EXPECT_NEAR(bands[tenant]["sheddable"] / of_tenant[tenant], 0.3, 0.015) << tenant;
  }
}

TEST(Mix, ARequestIsTheSameTenantsWhateverElseIsAsked) {
  const auto all = drained(plain(2000), mixed()).rows;
  TraceOptions other = mixed();
  other.time_scale = 3;
  other.start = 50'000'000'000;
  other.duration = 20'000'000'000;
  other.repeat = 2;
  const auto piece = drained(plain(2000), other).rows;
  ASSERT_EQ(piece.size(), 400u);
  for (size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(piece[i].flow, all[i + 500].flow);
    EXPECT_EQ(piece[i].band, all[i + 500].band);
  }
  other = mixed();
  other.tenants.reset();
  const auto bands_alone = drained(plain(2000), other).rows;
  for (size_t i = 0; i < 2000; ++i) EXPECT_EQ(bands_alone[i].band, all[i].band);
  EXPECT_EQ(bands_alone[0].flow, "");
}

TEST(Mix, AnotherSeedIsAnotherDraw) {
  const auto one = drained(plain(1000), mixed(1)).rows;
  EXPECT_EQ(one, drained(plain(1000), mixed(1)).rows);
  size_t same = 0;
  const auto other = drained(plain(1000), mixed(2)).rows;
  for (size_t i = 0; i < one.size(); ++i) same += one[i].band == other[i].band ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(same) / 1000, 0.01 + 0.36 + 0.09, 0.06);  // by chance
}

TEST(Mix, WhatTheTraceSaysStays) {
  const auto rows =
      drained(kHeader + "0,acme,,,1,1\n0,,urgent,,1,1\n0,acme,urgent,,1,1\n", mixed()).rows;
  EXPECT_EQ(rows[0].flow, "acme");
  EXPECT_NE(rows[0].band, "");
  EXPECT_NE(rows[1].flow, "");
  EXPECT_EQ(rows[1].objective, "urgent");
  EXPECT_EQ(rows[1].band, "");
  EXPECT_EQ(rows[2].flow, "acme");
  EXPECT_EQ(rows[2].band, "");
}

TEST(Mix, ABandWithoutAShareIsNeverDrawn) {
  TraceOptions options;
  options.bands = parse_bands("none=0,all=1,no=0").value();
  for (const Taken& row : drained(plain(1000), options).rows) EXPECT_EQ(row.band, "all");
}

}  // namespace
}  // namespace sluice::traces
