#include "host/pool/member.h"

#include <algorithm>

namespace sluice {

bool Pool::Member::is(const config::Endpoint& other) const {
  return config.name == other.name && config.address.host == other.address.host &&
         config.address.port == other.address.port;
}

ServedModels Pool::Member::served() const {
  if (!config.models.empty()) return {slot, false, config.models};
  if (!learnt) return {slot, true, {}};
  std::vector<std::string> names;
  std::set_union(learnt->begin(), learnt->end(), adapters.begin(), adapters.end(),
                 std::back_inserter(names));
  return {slot, false, std::move(names)};
}

std::vector<int64_t> label_hashes(const PoolSettings& settings, const config::Endpoint& endpoint) {
  std::vector<int64_t> out;
  for (const EndpointColumn& column : settings.columns) {
    if (column.kind != EndpointColumn::Kind::kLabelHash) continue;
    auto label = endpoint.labels.find(column.name);
    out.push_back(label == endpoint.labels.end()
                      ? column.absent_int
                      : static_cast<int64_t>(settings.hash(label->second)));
  }
  return out;
}

}  // namespace sluice
