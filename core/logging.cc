// What the engine writes to its decision log.
#include "core/engine_impl.h"

namespace sluice {

void Engine::set_log(TimeNs now, DecisionLog* log) {
  Impl& e = *impl_;
  e.enter(now);
  e.decision_log = log;
  for (const auto& band : e.bands)
    e.log({.kind = LogRecord::Kind::kBand,
           .band = band->log_id,
           .value = static_cast<uint64_t>(static_cast<int64_t>(band->config.priority)),
           .flag = band->config.hold_when_blocked,
           .name = band->config.name});
  for (const EndpointStats& endpoint : e.endpoints.stats()) e.log_endpoint(endpoint.slot);
  for (uint32_t cls = 0; cls < e.endpoints.classes().size(); ++cls) {
    std::vector<uint32_t> members;
    e.endpoints.at(cls).members.for_each([&](uint32_t slot) { members.push_back(slot); });
    e.log({.kind = LogRecord::Kind::kClass, .cls = cls, .members = &members});
  }
  e.endpoints.take_changed();
  e.leave();
}

void Engine::Impl::log(LogRecord record) {
  if (decision_log == nullptr) return;
  record.at = now_ns;
  decision_log->write(record);
  log_dirty = record.kind != LogRecord::Kind::kSettled;
}

void Engine::Impl::log_endpoint(uint32_t slot) {
  log({.kind = LogRecord::Kind::kEndpoint,
       .endpoint = slot,
       .value = endpoints.limit(slot),
       .flag = endpoints.open(slot)});
}

void Engine::Impl::log_classes() {
  for (uint32_t cls : endpoints.take_changed()) {
    if (decision_log == nullptr) continue;
    std::vector<uint32_t> members;
    endpoints.at(cls).members.for_each([&](uint32_t slot) { members.push_back(slot); });
    log({.kind = LogRecord::Kind::kClass, .cls = cls, .members = &members});
  }
}

void Engine::Impl::log_request(LogRecord::Kind kind, const Request& r) {
  if (decision_log == nullptr) return;
  const Flow& flow = *r.flow;
  log({.kind = kind,
       .seq = r.id.seq,
       .band = band_of(r).log_id,
       .flow = flow.slot,
       .cls = r.cls,
       .key = r.key,
       .value = r.bytes,
       .name = flow.dispatches == 0 ? std::string_view(flow.name) : std::string_view()});
}

}  // namespace sluice
