// How evenly tenants were served, from what each got, asked for and waited in every step of time.
//
// Definitions: docs/simulate.md; the window's is that of the VTC paper (OSDI 2024).
// Complexity: O(tenants^2 x steps).
#pragma once

#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

inline constexpr double kFairnessWindowS = 60;

struct TenantService {
  double weight = 1;
  std::vector<double> served, asked;  // in each step
  std::vector<double> waited;         // the part of each step in which it had requests waiting
};

Fairness fairness_of(const std::vector<TenantService>& tenants, double step_s);

}  // namespace sluice::simulate
