#include "host/serve/policy_faults.h"

#include <fmt/format.h>

namespace sluice {

std::vector<std::string> PolicyFaults::look(const std::vector<PolicyStats>& policies) {
  std::vector<std::string> news;
  std::set<std::string> now;
  for (const PolicyStats& policy : policies) {
    if (!policy.quarantined) continue;
    const std::string slot =
        policy.band.empty()
            ? fmt::format("{} policy {}", policy.kind, policy.name)
            : fmt::format("{} policy {} of band {}", policy.kind, policy.name, policy.band);
    if (!quarantined_.contains(slot))
      news.push_back(fmt::format("{} is in quarantine after {} faults, the built-in one acts: {}",
                                 slot, policy.faults, policy.last_fault));
    now.insert(slot);
  }
  for (const std::string& slot : quarantined_)
    if (!now.contains(slot)) news.push_back(slot + " is out of quarantine");
  quarantined_ = std::move(now);
  return news;
}

}  // namespace sluice
