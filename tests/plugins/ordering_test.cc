// Orderings on one simulated server: mean and longest wait, missed deadlines, who may pass whom.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "toy_band.h"

namespace sluice::testing {
namespace {

constexpr uint64_t kNsPerCost = 1'000'000;  // the server's speed

struct Job {
  uint64_t arrival_ns, cost, deadline_ns;
};

struct Served {
  ToyRequest request;
  uint64_t start_ns;
  bool missed() const { return start_ns > request.deadline_ns; }
  uint64_t wait_ns() const { return start_ns - request.arrival_ns; }
};

enum class Late { kServe, kDrop };  // requests past their deadline; the host drops them

// One flow, one server that serves one request at a time; JOBS by arrival.
std::vector<Served> serve(const std::vector<Job>& jobs, const Policy& ordering,
                          Late late = Late::kServe) {
  const Policy fairness("fairness_fcfs");
  ToyBand band(1, &fairness, &ordering);
  band.add_flow();
  std::vector<Served> served;
  size_t next = 0;
  uint64_t free_at = 0;
  while (served.size() < jobs.size()) {
    if (band.parked(0) == 0) free_at = std::max(free_at, jobs[next].arrival_ns);
    while (next < jobs.size() && jobs[next].arrival_ns <= free_at) {
      band.now_ns = jobs[next].arrival_ns;
      band.park(0, jobs[next].cost, jobs[next].deadline_ns);
      ++next;
    }
    band.now_ns = free_at;
    served.push_back({band.dispatch().value(), free_at});
    if (late == Late::kServe || !served.back().missed())
      free_at += served.back().request.cost * kNsPerCost;
  }
  return served;
}

// Mostly short jobs and a few long ones, at LOAD of what the server can do.
std::vector<Job> mixed_jobs(uint32_t seed, double load, int count) {
  std::mt19937 random(seed);
  std::vector<Job> jobs;
  uint64_t now = 0;
  for (int i = 0; i < count; ++i) {
    const uint64_t cost = random() % 10 == 0 ? 500 + random() % 1000 : 20 + random() % 60;
    const double mean_cost = 0.1 * 1000 + 0.9 * 50;
    now += static_cast<uint64_t>(std::exponential_distribution<>(load / mean_cost)(random) *
                                 kNsPerCost);
    // A third is interactive, the rest can wait.
    const uint64_t patience = random() % 3 == 0 ? 1000 + random() % 1000 : 5000 + random() % 15000;
    const uint64_t slack = patience * kNsPerCost;
    jobs.push_back({now, cost, now + slack});
  }
  return jobs;
}

double mean_wait(const std::vector<Served>& served) {
  double sum = 0;
  for (const Served& s : served) sum += static_cast<double>(s.wait_ns());
  return sum / static_cast<double>(served.size());
}

uint64_t longest_wait(const std::vector<Served>& served) {
  return std::max_element(
             served.begin(), served.end(),
             [](const Served& a, const Served& b) { return a.wait_ns() < b.wait_ns(); })
      ->wait_ns();
}

TEST(OrderingFcfs, KeepsTheOrderOfArrival) {
  const Policy fcfs("ordering_fcfs");
  uint64_t seq = 0;
  for (const Served& s : serve(mixed_jobs(1, 1.2, 500), fcfs)) EXPECT_EQ(s.request.seq, ++seq);
}

TEST(OrderingSjf, TheMeanWaitIsLowerThanByArrival) {
  const Policy sjf("ordering_sjf");
  const Policy fcfs("ordering_fcfs");
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    const auto jobs = mixed_jobs(seed, 0.9, 3000);
    EXPECT_LT(mean_wait(serve(jobs, sjf)), 0.6 * mean_wait(serve(jobs, fcfs))) << "seed " << seed;
  }
}

TEST(OrderingSjf, NobodyIsPassedByWhoCameLaterThanItsCostAllows) {
  const uint64_t age_ns = 5 * kNsPerCost;
  const Policy sjf("ordering_sjf", {{"age_per_cost", static_cast<int64_t>(age_ns)}});
  const auto served = serve(mixed_jobs(2, 1.1, 2000), sjf);
  uint64_t newest = 0;  // arrival among those served so far
  for (const Served& s : served) {
    EXPECT_LE(newest, s.request.arrival_ns + s.request.cost * age_ns) << s.request.seq;
    newest = std::max(newest, s.request.arrival_ns);
  }
}

TEST(OrderingSjf, AgeingBoundsTheLongestWait) {
  // A server that short jobs alone keep busy for ever, and one long job.
  std::vector<Job> jobs;
  for (uint64_t i = 0; i < 5000; ++i) {
    jobs.push_back({i * 10 * kNsPerCost, 10, SLUICE_NEVER});
    if (i == 10) jobs.push_back({i * 10 * kNsPerCost, 100, SLUICE_NEVER});
  }
  const Policy ageing("ordering_sjf", {{"age_per_cost", 5 * kNsPerCost}});
  const Policy pure("ordering_sjf", {{"age_per_cost", 1000 * kNsPerCost}});
  // (100 - 10) x 5 costs' time until it is ahead of new short ones, and the one being served.
  EXPECT_LE(longest_wait(serve(jobs, ageing)), (90 * 5 + 20) * kNsPerCost);
  EXPECT_GE(longest_wait(serve(jobs, pure)), 20000 * kNsPerCost);
}

TEST(OrderingSjf, HugeCostsGoLastInsteadOfOverflowing) {
  const Policy sjf("ordering_sjf", {{"age_per_cost", 1'000'000'000}});
  const auto served = serve(
      {{0, 1, SLUICE_NEVER}, {0, uint64_t{1} << 63, SLUICE_NEVER}, {0, 2, SLUICE_NEVER}}, sjf);
  EXPECT_EQ(served[1].request.cost, 2U);
}

int64_t missed(const std::vector<Served>& served) {
  return std::count_if(served.begin(), served.end(), [](const Served& s) { return s.missed(); });
}

TEST(OrderingEdf, MissesFewerDeadlinesThanByArrival) {
  const Policy edf("ordering_edf");
  const Policy fcfs("ordering_fcfs");
  int64_t by_deadline = 0;
  int64_t by_arrival = 0;
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    const auto jobs = mixed_jobs(seed, 0.8, 3000);
    by_deadline += missed(serve(jobs, edf, Late::kDrop));
    by_arrival += missed(serve(jobs, fcfs, Late::kDrop));
  }
  EXPECT_GT(by_arrival, 500);
  EXPECT_LT(by_deadline, by_arrival / 2);
}

TEST(OrderingEdf, NoDeadlineGoesLastAndEqualOnesByArrival) {
  const Policy edf("ordering_edf");
  const auto served = serve(
      {{0, 1, SLUICE_NEVER}, {0, 1, 900}, {0, 1, SLUICE_NEVER}, {0, 1, 900}, {0, 1, 400}}, edf);
  std::vector<uint64_t> order;
  for (const Served& s : served) order.push_back(s.request.seq);
  EXPECT_EQ(order, (std::vector<uint64_t>{5, 2, 4, 1, 3}));
}

}  // namespace
}  // namespace sluice::testing
