// One gRPC call to the server, of whatever method: an ext_proc stream, a health question, or one
// that nobody knows.
//
// Threads: its worker's. Ownership: a call owns itself from its acceptance until the last of its
// operations has come back.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>
#include <optional>
#include <string_view>

#include "host/ext_proc/worker.h"

namespace sluice::ext_proc {

// The stream of a call, and its operations, of which one of each kind is under way at a time.
class Call {
 public:
  // Waits for the next call of WORKER's queue.
  static void accept(Worker& worker);
  virtual ~Call();
  Call(const Call&) = delete;

 protected:
  // What a call is before its method is known.
  struct Arrival final : Event {
    explicit Arrival(Worker& to) : worker(to) {}
    void happened(bool ok) override;
    // Ended, by whichever side.
    struct Over final : Event {
      explicit Over(Arrival& arrival) : of(arrival) {}
      void happened(bool) override;
      Arrival& of;
    };
    Worker& worker;
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter stream{&context};
    Over when_over{*this};
    bool over = false;
    Call* call = nullptr;
  };
  explicit Call(std::unique_ptr<Arrival> arrival);

  void read();
  void write(const grpc::ByteBuffer& message, bool more_follows);
  void finish(const grpc::Status& status);
  void write_and_finish(const grpc::ByteBuffer& message, const grpc::Status& status);

  virtual void on_read(grpc::ByteBuffer& message) = 0;
  virtual void on_no_more() = 0;    // the other end has ended its side
  virtual void on_cancelled() = 0;  // it has ended the whole call, or is gone
  virtual void on_written(bool ok) = 0;

  Worker& worker() { return arrival_->worker; }
  grpc::GenericServerContext& context() { return arrival_->context; }
  bool reading() const { return reading_; }
  bool writing() const { return writing_; }
  bool finishing() const { return finishing_; }

 private:
  struct Done final : Event {
    Done(Call& of, void (Call::*handler)(bool)) : call(of), handle(handler) {}
    void happened(bool ok) override { (call.*handle)(ok); }
    Call& call;
    void (Call::*handle)(bool);
  };
  void read_done(bool ok);
  void write_done(bool ok);
  void finish_done(bool ok);
  void over();
  void leave_if_idle();

  std::unique_ptr<Arrival> arrival_;
  Done read_{*this, &Call::read_done}, write_{*this, &Call::write_done},
      finish_{*this, &Call::finish_done};
  grpc::ByteBuffer incoming_;
  bool reading_ = false, writing_ = false, finishing_ = false, finished_ = false;
  bool first_write_ = true;
};

// A call of Process.
class ProcessCall final : public Call {
 public:
  explicit ProcessCall(std::unique_ptr<Arrival> arrival);
  ~ProcessCall() override;
  void start();
  TimeNs silent_since() const { return place_.since; }
  void silent();

 private:
  class Mailbox;
  void on_read(grpc::ByteBuffer& message) override;
  void on_no_more() override;
  void on_cancelled() override;
  void on_written(bool ok) override;
  void pump();

  Exchange exchange_;
  Worker::Place place_;
  bool input_over_ = false;
  std::shared_ptr<ProcessCall*> self_;  // what mailboxes hold weakly
};

// A call of grpc.health.v1.Health.
class HealthCall final : public Call {
 public:
  enum class Method : uint8_t { kCheck, kWatch, kList };
  // What NAME, as gRPC has it, asks for; nothing if it is of no method of Health.
  static std::optional<Method> method_of(std::string_view name);
  HealthCall(std::unique_ptr<Arrival> arrival, Method method);
  ~HealthCall() override;
  void start() { read(); }
  // The host has become ready, or is not any more.
  void news();

 private:
  void on_read(grpc::ByteBuffer& message) override;
  void on_no_more() override;
  void on_cancelled() override;
  void on_written(bool ok) override;
  void tell();

  const Method method_;
  std::string service_;
  bool asked_ = false, cancelled_ = false;
  int said_ = -1;  // the status that a watcher was told last
};

// A call that is ended with a status at once.
class RefusedCall final : public Call {
 public:
  RefusedCall(std::unique_ptr<Arrival> arrival, const grpc::Status& status);

 private:
  void on_read(grpc::ByteBuffer&) override {}
  void on_no_more() override {}
  void on_cancelled() override {}
  void on_written(bool) override {}
};

}  // namespace sluice::ext_proc
