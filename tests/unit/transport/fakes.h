// What a transport is tested against: backends that a test makes up, and records that outlive their
// call.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "host/pool/backends.h"
#include "host/transport/record.h"

namespace sluice {

class FakeBackends : public Backends {
 public:
  void add(uint32_t slot, uint16_t port, const std::string& host = "127.0.0.1") {
    auto address = std::make_shared<EndpointAddress>();
    address->name = "gpu-" + std::to_string(slot);
    address->host = host;
    address->port = port;
    address->authority = host + ":" + std::to_string(port);
    const std::lock_guard lock(mutex_);
    addresses_[slot] = address;
  }
  std::optional<ClassId> class_for(std::string_view model) const override {
    if (model == "moves") return asked++ == 0 ? 7 : 0;  // the classes change after the first time
    return model == "unknown" ? std::nullopt : std::optional<ClassId>(0);
  }
  std::shared_ptr<const EndpointAddress> at(uint32_t slot) const override {
    const std::lock_guard lock(mutex_);
    const auto found = addresses_.find(slot);
    return found == addresses_.end() ? nullptr : found->second;
  }
  ClassId class_of_all() const override { return 0; }
  std::optional<uint32_t> any(const std::vector<uint32_t>* only) const override {
    const std::lock_guard lock(mutex_);
    for (const auto& [slot, address] : addresses_)
      if (only == nullptr || std::ranges::count(*only, slot) != 0) return slot;
    return std::nullopt;
  }
  std::vector<uint32_t> slots_where(
      const std::function<bool(const EndpointAddress&)>& match) const override {
    const std::lock_guard lock(mutex_);
    std::vector<uint32_t> slots;
    for (const auto& [slot, address] : addresses_)
      if (match(*address)) slots.push_back(slot);
    return slots;
  }
  std::vector<std::string> models() const override { return {"learnt", "m"}; }
  void succeeded(uint32_t) override { ++successes; }
  void failed(uint32_t) override { ++failures; }

  std::atomic<int> successes = 0, failures = 0;
  mutable std::atomic<int> asked = 0;

 private:
  mutable std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<const EndpointAddress>> addresses_;
};

// A RequestRecord with texts of its own.
struct KeptRecord {
  explicit KeptRecord(const RequestRecord& r)
      : record(r),
        request_id(r.request_id),
        flow(r.flow),
        band(r.band),
        model(r.model),
        target(r.target),
        endpoint(r.endpoint),
        refusal(r.refusal) {}

  RequestRecord record;
  std::string request_id, flow, band, model, target, endpoint, refusal;
};

}  // namespace sluice
