// What drivers tell the engine of endpoints and classes.
#include <algorithm>
#include <utility>

#include "core/engine_impl.h"
#include "core/planted.h"

namespace sluice {

void Engine::set_endpoint(TimeNs now, uint32_t slot, const EndpointLimits& limits, bool up) {
  if (slot >= kEndpointsMax) return;
  Impl& e = *impl_;
  e.enter(now);
  e.endpoints.set(slot, limits, up);
  e.log_classes();
  e.pool_may_have_flipped();
  e.leave();
}

void Engine::remove_endpoint(TimeNs now, uint32_t slot) {
  if (slot >= kEndpointsMax) return;
  Impl& e = *impl_;
  e.enter(now);
  e.endpoints.remove(slot);
  e.log_classes();
  e.prefixes.forget(slot);
  e.pool_may_have_flipped();
  e.leave();
}

bool Engine::endpoint_idle(uint32_t slot) const { return impl_->endpoints.idle(slot); }

void Engine::report_asked(TimeNs now, uint32_t slot) {
  if (slot >= kEndpointsMax) return;
  Impl& e = *impl_;
  e.enter(now);
  e.endpoints.report_asked(slot);
  e.leave();
}

void Engine::report(TimeNs now, uint32_t slot, const EndpointReport& report) {
  if (slot >= kEndpointsMax) return;
  Impl& e = *impl_;
  e.enter(now);
  e.endpoints.report(slot, report);
  if (report.kv_tokens_max != 0) {
    const uint64_t blocks = report.kv_tokens_max / std::max(e.pipeline.prefix_block_tokens, 1u);
    e.prefixes.set_capacity(
        slot, static_cast<uint32_t>(std::min<uint64_t>(blocks, kPrefixBlocksPerEndpoint)));
  }
  e.leave();
}

void Engine::set_class(TimeNs now, ClassId id, const std::vector<uint32_t>& members) {
  Impl& e = *impl_;
  e.enter(now);
  e.endpoints.define(id, members);
  e.log_classes();
  e.leave();
}

void Engine::reclassify(TimeNs now, const ClassOf& class_of) {
  Impl& e = *impl_;
  e.enter(now);
  std::vector<Request*> all;
  e.requests.for_each([&](Request& r) { all.push_back(&r); });
  std::ranges::sort(all, {}, [](const Request* r) { return r->id.seq; });
  for (Request* r : all) {
    const std::optional<ClassId> cls = class_of(r->id, r->host_class);
    if (cls.value_or(kNone) == r->host_class) continue;
    const bool parked = r->state == Request::State::kParked;
    if (parked && !cls) {
      e.end_parked(r, Outcome::kRejectedUnknownModel, Reason::kNone, true);
      continue;
    }
    r->host_class = cls.value_or(kNone);
    if (!parked || planted(Planted::kClassNotFollowed)) continue;
    e.use_class(r, e.class_of(*r));
    e.log_classes();
    e.log_request(LogRecord::Kind::kMove, *r);
  }
  e.leave();
}

}  // namespace sluice
