#include "tests/unit/ext_proc/rig.h"

#include <algorithm>
#include <stdexcept>

namespace sluice::ext_proc {
namespace {

void must(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what);
}

void fill(envoy::config::core::v3::HeaderMap& map, const HeaderList& headers) {
  for (const auto& [name, value] : headers) {
    auto& header = *map.add_headers();
    header.set_key(name);
    header.set_raw_value(value);
  }
}

}  // namespace

Pipeline Rig::one_band() {
  Pipeline pipeline;
  pipeline.generation = 1;
  BandConfig band;
  band.name = "default";
  pipeline.bands = {band};
  return pipeline;
}

Rig::Rig(std::vector<uint32_t> limits, config::Config config, Pipeline pipeline) {
  if (config.bands.empty()) {
    config.bands.emplace_back().limits.name = "default";
    config.flow_key = {{config::FlowComponent::Kind::kModel, ""}};
    config.trust = {
        {{"127.0.0.0/8"}, {"x-llm-d-inference-fairness-id", "x-llm-d-inference-objective"}}};
  }
  use(config);
  auto engine = Engine::create(std::move(pipeline), 1, Scheduler::now());
  must(engine.ok(), "no engine");
  scheduler = std::make_unique<Scheduler>(std::move(*engine), nullptr);
  scheduler->with_engine([&](Engine& e, TimeNs now) {
    std::vector<uint32_t> members;
    for (uint32_t slot = 0; slot < limits.size(); ++slot) {
      e.set_endpoint(now, slot, limits[slot], true);
      members.push_back(slot);
      backends.add(slot, 8000, "10.0.0." + std::to_string(slot + 1));
    }
    e.set_class(now, 0, members);
  });
}

void Rig::use(const config::Config& config) {
  auto routing = Routing::create(config, {.generation = 1});
  must(routing.ok(), "no routing");
  routing_ = *routing;
}

std::shared_ptr<const ExtProcSettings> Rig::current_settings() {
  settings.routing = routing_;
  return std::make_shared<const ExtProcSettings>(settings);
}

Surroundings& Rig::surroundings() {
  const auto current = current_settings();
  if (!surroundings_) {
    surroundings_.emplace(
        TransportServices{*scheduler, backends,
                          [this](const RequestRecord& r) { records.emplace_back(r); }},
        body_bytes, current, Classifier(), std::mt19937_64(1));
  }
  surroundings_->settings = current;
  return *surroundings_;
}

struct Rig::Stream::Inbox {
  std::vector<Decision> decisions;

  struct Box : Waiter {
    Box(std::weak_ptr<Inbox> to, std::string model)
        : inbox(std::move(to)), name(std::move(model)) {}
    void on_decision(const Decision& decision) override {
      if (const auto alive = inbox.lock()) alive->decisions.push_back(decision);
    }
    std::string_view target() const override { return name; }
    std::weak_ptr<Inbox> inbox;
    std::string name;
  };
};

Rig::Stream::Stream(Rig& rig, Peer peer)
    : inbox_(std::make_shared<Inbox>()),
      exchange_(rig.surroundings(), std::move(peer), [inbox = inbox_](std::string target) {
        return std::make_shared<Inbox::Box>(inbox, std::move(target));
      }) {}

void Rig::Stream::send(const pb::ProcessingRequest& message) {
  send_bytes(message.SerializeAsString());
}

void Rig::Stream::send_bytes(const std::string& bytes) {
  // In two slices, as a connection may bring it.
  const grpc::Slice slices[] = {grpc::Slice(bytes.substr(0, bytes.size() / 2)),
                                grpc::Slice(bytes.substr(bytes.size() / 2))};
  grpc::ByteBuffer message(slices, 2);
  exchange_.receive(message);
  deliver();
}

void Rig::Stream::deliver() {
  while (!inbox_->decisions.empty()) {
    const std::vector<Decision> decisions = std::exchange(inbox_->decisions, {});
    for (const Decision& decision : decisions) exchange_.decide(decision);
  }
}

std::vector<pb::ProcessingResponse> Rig::Stream::take() {
  std::vector<pb::ProcessingResponse> responses;
  while (!exchange_.outbox.empty()) {
    const grpc::ByteBuffer message = exchange_.outbox.take();
    std::vector<grpc::Slice> slices;
    must(message.Dump(&slices).ok(), "no slices");
    std::string bytes;
    for (const grpc::Slice& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    must(responses.emplace_back().ParseFromString(bytes), "an answer is no ProcessingResponse");
  }
  return responses;
}

// ---- messages ----

pb::ProcessingRequest request_headers(const HeaderList& headers, bool end_of_stream) {
  pb::ProcessingRequest message;
  fill(*message.mutable_request_headers()->mutable_headers(), headers);
  message.mutable_request_headers()->set_end_of_stream(end_of_stream);
  return message;
}

pb::ProcessingRequest post(const HeaderList& more) {
  HeaderList headers = {
      {":method", "POST"}, {":path", "/v1/chat/completions"}, {"content-type", "application/json"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return request_headers(headers);
}

pb::ProcessingRequest get(const std::string& path, const HeaderList& more) {
  HeaderList headers = {{":method", "GET"}, {":path", path}};
  headers.insert(headers.end(), more.begin(), more.end());
  return request_headers(headers, true);
}

pb::ProcessingRequest request_body(const std::string& body, bool end_of_stream) {
  pb::ProcessingRequest message;
  message.mutable_request_body()->set_body(body);
  message.mutable_request_body()->set_end_of_stream(end_of_stream);
  return message;
}

pb::ProcessingRequest request_trailers(const HeaderList& trailers) {
  pb::ProcessingRequest message;
  fill(*message.mutable_request_trailers()->mutable_trailers(), trailers);
  return message;
}

pb::ProcessingRequest response_headers(const HeaderList& headers, bool end_of_stream) {
  pb::ProcessingRequest message;
  fill(*message.mutable_response_headers()->mutable_headers(), headers);
  message.mutable_response_headers()->set_end_of_stream(end_of_stream);
  return message;
}

pb::ProcessingRequest ok(const std::string& content_type) {
  return response_headers({{":status", "200"}, {"content-type", content_type}});
}

pb::ProcessingRequest response_body(const std::string& body, bool end_of_stream) {
  pb::ProcessingRequest message;
  message.mutable_response_body()->set_body(body);
  message.mutable_response_body()->set_end_of_stream(end_of_stream);
  return message;
}

pb::ProcessingRequest response_trailers(const HeaderList& trailers) {
  pb::ProcessingRequest message;
  fill(*message.mutable_response_trailers()->mutable_trailers(), trailers);
  return message;
}

pb::ProcessingRequest with_modes(pb::ProcessingRequest message, BodyMode request, BodyMode answer) {
  message.mutable_protocol_config()->set_request_body_mode(request);
  message.mutable_protocol_config()->set_response_body_mode(answer);
  return message;
}

pb::ProcessingRequest with_subset(pb::ProcessingRequest message,
                                  const std::vector<std::string>& endpoints) {
  auto& space =
      (*message.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb.subset_hint"];
  auto& list =
      *(*space.mutable_fields())["x-gateway-destination-endpoint-subset"].mutable_list_value();
  for (const std::string& endpoint : endpoints) list.add_values()->set_string_value(endpoint);
  return message;
}

std::optional<std::string> set_to(const pb::HeaderMutation& mutation, const std::string& name) {
  for (const auto& option : mutation.set_headers())
    if (option.header().key() == name) return option.header().raw_value();
  return std::nullopt;
}

bool removes(const pb::HeaderMutation& mutation, const std::string& name) {
  return std::ranges::count(mutation.remove_headers(), name) != 0;
}

}  // namespace sluice::ext_proc
