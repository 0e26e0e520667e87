// Shortest job first by predicted cost, with ageing, so that nothing starves. O(1).
//
// The key is arrival_ns + cost x age_per_cost. It never changes, yet it ages: a request of cost c
// can be passed only by requests that arrive less than c x age_per_cost after it, so no wait grows
// without end. Small values of age_per_cost come near to first come, first served; large ones near
// to pure shortest first.
#include <sluice/sluice.hpp>

namespace {

struct Sjf {
  static constexpr sluice::Info info{"sjf",
                                     "The cheapest request goes first; waiting makes up for cost."};
  static constexpr sluice_param_v1 params[] = {
      sluice::duration_param("age_per_cost", "The wait that makes up for one cost unit.",
                             "per cost unit", 5'000'000, 0, 1'000'000'000)};

  explicit Sjf(const sluice::Setup& setup) : age_ns_(setup.get_duration_ns("age_per_cost")) {}

  uint64_t key(const sluice::Request& request, const sluice::Band&) const {
    return sluice_add_saturated(request.arrival_ns(),
                                sluice_multiply_saturated(request.cost(), age_ns_));
  }

 private:
  uint64_t age_ns_;
};

}  // namespace

SLUICE_PLUGIN("sluice", "0.1.0", "Apache-2.0", sluice::ordering<Sjf>);
