// What is worth telling of policies that give illegal answers: quarantine as it begins and ends.
//
// Threads: one at a time. O(policies) a look.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/stats.h"

namespace sluice {

class PolicyFaults {
 public:
  // What has changed since the last look, a sentence each.
  std::vector<std::string> look(const std::vector<PolicyStats>& policies);

 private:
  std::set<std::string> quarantined_;  // slot and policy
};

}  // namespace sluice
