#include "host/ext_proc/call.h"

#include <grpcpp/security/auth_context.h>

#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

constexpr std::string_view kProcess = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

// "ipv4:10.0.0.1:41000", "ipv6:%5B::1%5D:41000".
IpAddress address_of(const std::string& peer) {
  const size_t scheme = peer.find(':'), port = peer.rfind(':');
  if (scheme == peer.npos || port <= scheme) return {};
  std::string_view host = std::string_view(peer).substr(scheme + 1, port - scheme - 1);
  if (host.starts_with("%5B")) host.remove_prefix(3);
  if (host.ends_with("%5D")) host.remove_suffix(3);
  if (host.starts_with("[")) host.remove_prefix(1);
  if (host.ends_with("]")) host.remove_suffix(1);
  return IpAddress::parse(host.substr(0, host.find("%25")));
}

Peer peer_of(grpc::GenericServerContext& context, bool with_names) {
  Peer peer = address_of(context.peer());
  if (!with_names) return peer;
  for (const grpc::string_ref& name :
       context.auth_context()->FindPropertyValues("x509_subject_alternative_name"))
    peer.names.emplace_back(name.data(), name.size());
  return peer;
}

}  // namespace

// ---- any call ----

void Call::accept(Worker& worker) {
  auto* arrival = new Arrival(worker);
  arrival->context.AsyncNotifyWhenDone(&arrival->when_over);
  worker.service().RequestCall(&arrival->context, &arrival->stream, &worker.queue(),
                               &worker.queue(), arrival);
}

void Call::Arrival::happened(bool ok) {
  std::unique_ptr<Arrival> self(this);
  if (!ok) return;  // the server ends
  worker.accept();
  const std::string_view method = context.method();
  const auto refuse = [&](grpc::StatusCode code, const char* why) {
    new RefusedCall(std::move(self), {code, why});
  };
  if (worker.calls >= kCallsMax)
    return refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls");
  if (method == kProcess) return (new ProcessCall(std::move(self)))->start();
  if (const auto asked = HealthCall::method_of(method))
    return (new HealthCall(std::move(self), *asked))->start();
  refuse(grpc::StatusCode::UNIMPLEMENTED, "no such method");
}

void Call::Arrival::Over::happened(bool) {
  of.over = true;
  if (of.call != nullptr) of.call->over();
}

Call::Call(std::unique_ptr<Arrival> arrival) : arrival_(std::move(arrival)) {
  arrival_->call = this;
  ++worker().calls;
}

Call::~Call() {
  if (--worker().calls == 0) worker().calls.notify_all();
}

void Call::read() {
  reading_ = true;
  arrival_->stream.Read(&incoming_, &read_);
}

void Call::write(const grpc::ByteBuffer& message, bool more_follows) {
  writing_ = true;
  grpc::WriteOptions options;
  // Not with a stream's first message: gRPC 1.51 begins no write for one that takes the initial
  // metadata along and is to be buffered, and says that it is done only once it has been written.
  if (!std::exchange(first_write_, false) && more_follows) options.set_buffer_hint();
  arrival_->stream.Write(message, options, &write_);
}

void Call::finish(const grpc::Status& status) {
  finishing_ = true;
  arrival_->stream.Finish(status, &finish_);
}

void Call::write_and_finish(const grpc::ByteBuffer& message, const grpc::Status& status) {
  finishing_ = true;
  arrival_->stream.WriteAndFinish(message, grpc::WriteOptions(), status, &finish_);
}

void Call::read_done(bool ok) {
  reading_ = false;
  if (!finishing_) {
    if (ok) {
      grpc::ByteBuffer message;
      message.Swap(&incoming_);
      on_read(message);
    } else {
      on_no_more();
    }
  }
  leave_if_idle();
}

void Call::write_done(bool ok) {
  writing_ = false;
  on_written(ok);
  leave_if_idle();
}

void Call::finish_done(bool) {
  finished_ = true;
  leave_if_idle();
}

void Call::over() {
  if (!finishing_ && context().IsCancelled()) on_cancelled();
  leave_if_idle();
}

void Call::leave_if_idle() {
  if (finished_ && !reading_ && !writing_ && arrival_->over) delete this;
}

// ---- Process ----

// The scheduler's end of a stream: carries decisions to its thread, and never keeps it alive.
class ProcessCall::Mailbox final : public Waiter {
 public:
  Mailbox(std::shared_ptr<Worker> worker, std::weak_ptr<ProcessCall*> call, std::string target)
      : worker_(std::move(worker)), call_(std::move(call)), target_(std::move(target)) {}

  void on_decision(const Decision& decision) override {
    worker_->post([call = call_, decision] {
      const std::shared_ptr<ProcessCall*> alive = call.lock();
      if (!alive) return;
      (*alive)->exchange_.decide(decision);
      (*alive)->pump();
    });
  }

  std::string_view target() const override { return target_; }

 private:
  std::shared_ptr<Worker> worker_;
  std::weak_ptr<ProcessCall*> call_;
  std::string target_;
};

ProcessCall::ProcessCall(std::unique_ptr<Arrival> arrival)
    : Call(std::move(arrival)),
      exchange_(worker().surroundings, peer_of(context(), worker().asks_names),
                [this](std::string target) {
                  return std::make_shared<Mailbox>(worker().shared_from_this(), self_,
                                                   std::move(target));
                }),
      self_(std::make_shared<ProcessCall*>(this)) {
  ++worker().streams;
}

ProcessCall::~ProcessCall() {
  worker().forget(place_);
  --worker().streams;
}

void ProcessCall::start() {
  worker().alive(*this, place_, exchange_.patience_ns());
  read();
}

void ProcessCall::silent() {
  if (exchange_.over()) {
    // It does not take what would end its stream.
    worker().forget(place_);
    context().TryCancel();
    return;
  }
  exchange_.silent();
  pump();
}

void ProcessCall::on_read(grpc::ByteBuffer& message) {
  exchange_.receive(message);
  pump();
}

void ProcessCall::on_no_more() {
  input_over_ = true;
  exchange_.closed();
  pump();
}

void ProcessCall::on_cancelled() {
  exchange_.closed();
  exchange_.outbox.clear();
  pump();
}

void ProcessCall::on_written(bool ok) { ok ? pump() : on_cancelled(); }

// Begins whatever can be begun.
void ProcessCall::pump() {
  if (finishing()) return;
  worker().alive(*this, place_, exchange_.over() ? kEndNs : exchange_.patience_ns());
  Outbox& outbox = exchange_.outbox;
  if (!writing()) {
    if (!outbox.empty()) {
      const grpc::ByteBuffer message = outbox.take();
      if (exchange_.over() && outbox.empty() && exchange_.status().ok()) {
        write_and_finish(message, exchange_.status());
      } else {
        write(message, !outbox.empty());
      }
    } else if (exchange_.over()) {
      finish(exchange_.status());
    }
  }
  if (!reading() && !finishing() && !exchange_.over() && !input_over_ && exchange_.wants_more())
    read();
}

// ---- calls that are refused ----

RefusedCall::RefusedCall(std::unique_ptr<Arrival> arrival, const grpc::Status& status)
    : Call(std::move(arrival)) {
  finish(status);
}

}  // namespace sluice::ext_proc
