#include "host/traces/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/config/text.h"
#include "host/config/values.h"
#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

constexpr double kSumSlack = 0.001;  // what shares may miss 1 by

Error tenants_error(std::string_view text, std::string_view what) {
  return Error{fmt::format("tenants are written zipf:EXPONENT:COUNT, such as zipf:1.1:20; {} {}",
                           config::quote(text), what)};
}

Error bands_error(std::string_view what) {
  return Error{fmt::format(
      "bands are written BAND=SHARE,..., such as critical=0.1,default=0.6,sheddable=0.3; {}",
      what)};
}

}  // namespace

Result<TenantMix> parse_tenants(std::string_view text) {
  constexpr std::string_view kKind = "zipf:";
  if (!text.starts_with(kKind)) return tenants_error(text, "does not begin with zipf:");
  const std::string_view rest = text.substr(kKind.size());
  const size_t colon = rest.find(':');
  if (colon == rest.npos) return tenants_error(text, "lacks the number of tenants");
  const auto exponent = config::parse_number(rest.substr(0, colon));
  const auto count = config::parse_integer(rest.substr(colon + 1));
  if (!exponent || *exponent < 0 || *exponent > kZipfExponentMax) {
    return tenants_error(text,
                         fmt::format("has no exponent from 0 (even) to {:g}", kZipfExponentMax));
  }
  if (!count || *count < 1 || *count > int64_t{kTenantsMax}) {
    return tenants_error(text, fmt::format("has no number of tenants from 1 to {}", kTenantsMax));
  }
  return TenantMix{*exponent, static_cast<uint32_t>(*count)};
}

Result<std::vector<BandShare>> parse_bands(std::string_view text) {
  std::vector<BandShare> out;
  double sum = 0;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view entry = text.substr(0, comma);
    const size_t equals = entry.rfind('=');
    if (equals == entry.npos) {
      return bands_error(fmt::format("{} lacks =SHARE", config::quote(entry)));
    }
    const std::string_view band = entry.substr(0, equals);
    const auto share = config::parse_number(entry.substr(equals + 1));
    if (!config::is_free_name(band)) {
      return bands_error(fmt::format("{} names no band", config::quote(entry)));
    }
    if (!share || *share < 0 || *share > 1) {
      return bands_error(
          fmt::format("the share in {} is no number from 0 to 1", config::quote(entry)));
    }
    if (std::any_of(out.begin(), out.end(), [&](auto& other) { return other.band == band; })) {
      return bands_error(fmt::format("{} stands there twice", config::quote(band)));
    }
    if (out.size() == kBandsDrawnMax) {
      return bands_error(fmt::format("there are more than {} bands", kBandsDrawnMax));
    }
    out.push_back({std::string(band), *share});
    sum += *share;
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  if (std::abs(sum - 1) > kSumSlack) {
    return bands_error(fmt::format("these shares add up to {:g}, not to 1", sum));
  }
  return out;
}

Result<void> check(const TraceOptions& options) {
  if (!(options.time_scale >= kTimeScaleMin && options.time_scale <= kTimeScaleMax)) {
    return Error{fmt::format("the time scale is a number from {:g} to {:g}; 2 is twice as fast",
                             kTimeScaleMin, kTimeScaleMax)};
  }
  if (options.repeat < 1 || options.repeat > kRepeatMax) {
    return Error{fmt::format("a trace is played 1 to {} times", kRepeatMax)};
  }
  if (options.duration == 0) return Error{"a piece of a trace must be longer than 0"};
  if (options.start > kTraceMaxNs) return Error{"a trace lasts at most 87600h"};
  return {};
}

}  // namespace sluice::traces
