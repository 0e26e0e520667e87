#include "host/simulate/fairness.h"

#include <algorithm>
#include <cmath>

namespace sluice::simulate {
namespace {

constexpr double kWhole = 1 - 1e-6;  // a part of a step that is all of it

double at(const std::vector<double>& values, size_t step) {
  return step < values.size() ? values[step] : 0;
}

bool backlogged(const TenantService& tenant, size_t step) {
  return at(tenant.waited, step) >= kWhole;
}

double accumulated_gap(const TenantService& a, const TenantService& b, size_t steps) {
  double gap = 0, difference = 0;
  for (size_t i = 0; i < steps; ++i) {
    if (backlogged(a, i) && backlogged(b, i)) {
      difference += at(a.served, i) / a.weight - at(b.served, i) / b.weight;
      gap = std::max(gap, std::abs(difference));
    } else {
      difference = 0;
    }
  }
  return gap;
}

// Sums of VALUES up to each step.
std::vector<double> running_sums(const std::vector<double>& values, size_t steps) {
  std::vector<double> sums(steps + 1, 0);
  for (size_t i = 0; i < steps; ++i) sums[i + 1] = sums[i] + at(values, i);
  return sums;
}

void windowed(const std::vector<TenantService>& tenants, size_t steps, size_t window,
              Fairness& out) {
  if (window == 0 || steps < window) return;
  struct Sums {
    std::vector<double> served, asked, waited;
  };
  std::vector<Sums> sums;
  for (const TenantService& t : tenants)
    sums.push_back({running_sums(t.served, steps), running_sums(t.asked, steps),
                    running_sums(t.waited, steps)});
  double total = 0;
  for (size_t end = window; end <= steps; ++end) {
    const auto in_window = [&](const std::vector<double>& of) {
      return of[end] - of[end - window];
    };
    double most = 0, difference = 0;
    for (size_t i = 0; i < tenants.size(); ++i)
      most = std::max(most, in_window(sums[i].served) / tenants[i].weight);
    for (size_t i = 0; i < tenants.size(); ++i) {
      const double served = in_window(sums[i].served) / tenants[i].weight;
      double behind = most - served;
      // Who did not ask for more is not behind.
      if (in_window(sums[i].waited) < kWhole * static_cast<double>(window))
        behind =
            std::min(behind, std::max(0.0, in_window(sums[i].asked) / tenants[i].weight - served));
      difference += behind;
    }
    total += difference;
    out.windowed_max = std::max(out.windowed_max, difference);
  }
  out.windowed_mean = total / static_cast<double>(steps - window + 1);
}

}  // namespace

Fairness fairness_of(const std::vector<TenantService>& tenants, double step_s) {
  Fairness out;
  size_t steps = 0;
  for (const TenantService& t : tenants) steps = std::max({steps, t.served.size(), t.asked.size()});
  for (size_t a = 0; a < tenants.size(); ++a)
    for (size_t b = a + 1; b < tenants.size(); ++b)
      out.accumulated_gap =
          std::max(out.accumulated_gap, accumulated_gap(tenants[a], tenants[b], steps));

  const auto window = static_cast<size_t>(std::lround(kFairnessWindowS / step_s));
  out.window_s = static_cast<double>(window) * step_s;
  windowed(tenants, steps, window, out);

  double sum = 0, squares = 0;
  for (const TenantService& t : tenants) {
    double served = 0, waited = 0;
    for (const double s : t.served) served += s;
    for (const double w : t.waited) waited += w;
    if (waited < 0.5 * static_cast<double>(steps)) continue;
    ++out.tenants;
    sum += served / t.weight;
    squares += served / t.weight * (served / t.weight);
  }
  if (squares > 0) out.jain = sum * sum / (squares * out.tenants);
  return out;
}

}  // namespace sluice::simulate
