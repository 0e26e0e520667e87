// Earliest deadline first; requests without a deadline go last, and equal deadlines by arrival.
// O(1).
//
// On one server, if any order meets every deadline, this one does (Jackson 1955; Liu & Layland
// 1973). Overloaded it spends itself on requests that are late already, which the host prevents:
// past its deadline a request is not sent. The deadline is arrival + TTL even while the pool is
// empty and another TTL runs, or what was parked in an outage would come last for ever after.
#include <sluice/sluice.hpp>

namespace {

struct Edf {
  static constexpr sluice::Info info{"edf", "The request whose deadline is next goes first."};
  uint64_t key(const sluice::Request& request, const sluice::Band&) const {
    return request.deadline_ns();
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::ordering<Edf>);
