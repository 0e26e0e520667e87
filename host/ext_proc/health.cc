// The gRPC health service: whether gateways may send requests here.
#include "grpc/health/v1/health.pb.h"
#include "host/ext_proc/call.h"

namespace sluice::ext_proc {
namespace {

namespace health = grpc::health::v1;
using Status = health::HealthCheckResponse::ServingStatus;

constexpr std::string_view kLiveness = "liveness";
constexpr std::string_view kServices[] = {"", "inference-extension", kLiveness, "readiness",
                                          "envoy.service.ext_proc.v3.ExternalProcessor"};

Status status_of(std::string_view service, bool ready) {
  for (const std::string_view known : kServices) {
    if (service != known) continue;
    return ready || service == kLiveness ? health::HealthCheckResponse::SERVING
                                         : health::HealthCheckResponse::NOT_SERVING;
  }
  return health::HealthCheckResponse::SERVICE_UNKNOWN;
}

grpc::ByteBuffer answer(Status status) {
  health::HealthCheckResponse response;
  response.set_status(status);
  return encode(response);
}

}  // namespace

std::optional<HealthCall::Method> HealthCall::method_of(std::string_view name) {
  constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
  if (!name.starts_with(kHealth)) return std::nullopt;
  name.remove_prefix(kHealth.size());
  if (name == "Check") return Method::kCheck;
  if (name == "Watch") return Method::kWatch;
  if (name == "List") return Method::kList;
  return std::nullopt;
}

HealthCall::HealthCall(std::unique_ptr<Arrival> arrival, Method method)
    : Call(std::move(arrival)), method_(method) {}

HealthCall::~HealthCall() { worker().watchers.erase(this); }

void HealthCall::on_read(grpc::ByteBuffer& message) {
  asked_ = true;
  if (method_ == Method::kList) {
    health::HealthListResponse response;
    for (const std::string_view service : kServices)
      (*response.mutable_statuses())[std::string(service)].set_status(
          status_of(service, worker().ready));
    return write_and_finish(encode(response), grpc::Status::OK);
  }
  std::vector<grpc::Slice> slices;
  std::string bytes;
  health::HealthCheckRequest request;
  if (!message.Dump(&slices).ok())
    return finish({grpc::StatusCode::INVALID_ARGUMENT, "no message"});
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  if (!request.ParseFromString(bytes))
    return finish({grpc::StatusCode::INVALID_ARGUMENT, "this is no HealthCheckRequest"});
  service_ = request.service();
  if (method_ == Method::kWatch) {
    worker().watchers.insert(this);
    return tell();
  }
  const Status status = status_of(service_, worker().ready);
  if (status == health::HealthCheckResponse::SERVICE_UNKNOWN)
    return finish({grpc::StatusCode::NOT_FOUND, "there is no service of this name"});
  write_and_finish(answer(status), grpc::Status::OK);
}

// A watcher ends its own side at once; only one that never asked is done with.
void HealthCall::on_no_more() {
  if (!asked_) finish({grpc::StatusCode::INVALID_ARGUMENT, "nothing was asked"});
}

void HealthCall::on_cancelled() {
  cancelled_ = true;
  if (!writing()) finish(grpc::Status::CANCELLED);
}

void HealthCall::on_written(bool ok) {
  if (finishing()) return;
  if (cancelled_) return finish(grpc::Status::CANCELLED);
  if (ok) tell();
}

void HealthCall::news() { tell(); }

// Says what a watcher does not know yet.
void HealthCall::tell() {
  const Status status = status_of(service_, worker().ready);
  if (writing() || finishing() || said_ == static_cast<int>(status)) return;
  said_ = static_cast<int>(status);
  write(answer(status), false);
}

}  // namespace sluice::ext_proc
