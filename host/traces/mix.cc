#include "host/traces/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/picker.h"

namespace sluice::traces {
namespace {

enum class Purpose : uint64_t { kTenant = 1, kBand = 2 };

double draw(uint64_t seed, Purpose purpose, uint64_t ordinal) {
  const uint64_t stream = Random::mix(Random(seed).next() + static_cast<uint64_t>(purpose));
  return Random(stream + ordinal * 0x9e3779b97f4a7c15).unit();
}

// Shares to running sums.
std::vector<double> summed(std::vector<double> shares) {
  double sum = 0;
  for (double& share : shares) share = sum += share;
  for (double& share : shares) share /= sum;
  return shares;
}

// Which part of SUMS the number X of [0, 1) falls into; never one without a share.
size_t part_of(const std::vector<double>& sums, double x) {
  const auto found = std::upper_bound(sums.begin(), sums.end(), x);
  return static_cast<size_t>(found - sums.begin());
}

}  // namespace

Mixed::Mixed(std::unique_ptr<Source> inner, const TraceOptions& options)
    : inner_(std::move(inner)), seed_(options.seed) {
  if (options.tenants) {
    std::vector<double> shares;
    for (uint32_t k = 0; k < options.tenants->count; ++k) {
      shares.push_back(std::pow(k + 1.0, -options.tenants->exponent));
    }
    tenants_ = summed(std::move(shares));
  }
  std::vector<double> shares;
  for (const BandShare& band : options.bands) {
    bands_.push_back(band.band);
    shares.push_back(band.share);
  }
  shares_ = summed(std::move(shares));
}

const Arrival& Mixed::take() {
  arrival_ = inner_->take();
  if (!tenants_.empty() && arrival_.flow.empty()) {
    tenant_.clear();
    fmt::format_to(std::back_inserter(tenant_), "tenant-{}",
                   part_of(tenants_, draw(seed_, Purpose::kTenant, arrival_.ordinal)));
    arrival_.flow = tenant_;
  }
  if (!bands_.empty() && arrival_.objective.empty()) {
    arrival_.band = bands_[part_of(shares_, draw(seed_, Purpose::kBand, arrival_.ordinal))];
  }
  return arrival_;
}

}  // namespace sluice::traces
