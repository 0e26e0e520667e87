// First come, first served: the request that arrived first goes first. O(1).
#include <sluice/sluice.hpp>

namespace {

struct Fcfs {
  static constexpr sluice::Info info{"fcfs", "The request that arrived first goes first."};
  uint64_t key(const sluice::Request& request, const sluice::Band&) const { return request.seq(); }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::ordering<Fcfs>);
