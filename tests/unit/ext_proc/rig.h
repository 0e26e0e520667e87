// Exchanges over a real engine, with messages in and messages out and no stream between: what the
// unit tests and the fuzzer drive.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/ext_proc/exchange.h"
#include "tests/unit/transport/fakes.h"

namespace sluice::ext_proc {

using ProcessingMode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
using HeaderList = std::vector<std::pair<std::string, std::string>>;

class Rig {
 public:
  // Endpoint SLOT is at 10.0.0.SLOT+1:8000 and takes LIMIT requests.
  explicit Rig(std::vector<uint32_t> limits = {8}, config::Config config = {},
               Pipeline pipeline = one_band());
  static Pipeline one_band();

  // One stream.
  class Stream {
   public:
    Stream(Rig& rig, Peer peer);
    void send(const pb::ProcessingRequest& message);
    void send_bytes(const std::string& bytes);
    // All that it has said since the last call.
    std::vector<pb::ProcessingResponse> take();
    Exchange& exchange() { return exchange_; }
    void deliver();  // the decisions that wait

   private:
    struct Inbox;
    std::shared_ptr<Inbox> inbox_;
    Exchange exchange_;
  };
  std::unique_ptr<Stream> open(Peer peer = IpAddress::parse("127.0.0.1")) {
    return std::make_unique<Stream>(*this, std::move(peer));
  }

  // What streams are routed by from now on.
  void use(const config::Config& config);
  std::shared_ptr<const ExtProcSettings> current_settings();

  Stats stats() {
    return scheduler->with_engine([](Engine& engine, TimeNs) { return engine.stats(); });
  }
  std::optional<std::string> audit() {
    return scheduler->with_engine([](Engine& engine, TimeNs) { return engine.audit(); });
  }

  FakeBackends backends;
  std::unique_ptr<Scheduler> scheduler;
  std::atomic<uint64_t> body_bytes = 0;
  ExtProcSettings settings;  // of streams to come
  std::vector<KeptRecord> records;

 private:
  friend class Stream;
  Surroundings& surroundings();
  std::shared_ptr<const Routing> routing_;
  std::optional<Surroundings> surroundings_;
};

// ---- messages ----

pb::ProcessingRequest request_headers(const HeaderList& headers, bool end_of_stream = false);
pb::ProcessingRequest post(const HeaderList& more = {});  // to /v1/chat/completions
pb::ProcessingRequest get(const std::string& path, const HeaderList& more = {});
pb::ProcessingRequest request_body(const std::string& body, bool end_of_stream = true);
pb::ProcessingRequest request_trailers(const HeaderList& trailers = {});
pb::ProcessingRequest response_headers(const HeaderList& headers, bool end_of_stream = false);
pb::ProcessingRequest ok(const std::string& content_type = "application/json");
pb::ProcessingRequest response_body(const std::string& body, bool end_of_stream = true);
pb::ProcessingRequest response_trailers(const HeaderList& trailers = {});
pb::ProcessingRequest with_modes(pb::ProcessingRequest message, BodyMode request, BodyMode answer);
// The hint as a list.
pb::ProcessingRequest with_subset(pb::ProcessingRequest message,
                                  const std::vector<std::string>& endpoints);

// What a mutation sets NAME to; nothing if it does not.
std::optional<std::string> set_to(const pb::HeaderMutation& mutation, const std::string& name);
bool removes(const pb::HeaderMutation& mutation, const std::string& name);

inline constexpr char kBody[] = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
inline constexpr char kAnswer[] =
    R"({"id":"1","model":"m","choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":7}})";

}  // namespace sluice::ext_proc
