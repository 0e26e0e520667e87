// Nobody makes room: whoever meets a full queue is refused. O(1).
#include <sluice/sluice.hpp>

namespace {

struct RejectNewest {
  static constexpr sluice::Info info{"reject-newest",
                                     "Nobody is evicted; the newcomer is refused."};
  uint32_t pick(const sluice::Flows&, const sluice::Band&, const sluice::Need&) const {
    return SLUICE_NONE;
  }
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::eviction<RejectNewest>);
