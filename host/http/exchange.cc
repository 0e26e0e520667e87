#include "host/http/exchange.h"

#include "host/http/limits.h"

namespace sluice {

// The scheduler's end of an exchange: carries decisions to the exchange's thread, and never keeps
// the exchange alive.
class Exchange::Mailbox : public Waiter {
 public:
  Mailbox(std::shared_ptr<Worker> worker, std::weak_ptr<Exchange> exchange, std::string target)
      : worker_(std::move(worker)), exchange_(std::move(exchange)), target_(std::move(target)) {}

  void on_decision(const Decision& decision) override {
    asio::dispatch(worker_->context, [exchange = exchange_, decision] {
      if (const std::shared_ptr<Exchange> alive = exchange.lock()) alive->take_decision(decision);
    });
  }

  std::string_view target() const override { return target_; }

 private:
  std::shared_ptr<Worker> worker_;
  std::weak_ptr<Exchange> exchange_;
  std::string target_;
};

Exchange::Exchange(std::shared_ptr<Worker> worker, Client& client, Watchdog& watchdog,
                   IncomingRequest request)
    : worker_(std::move(worker)),
      settings_(worker_->settings),
      client_(client),
      watchdog_(watchdog),
      request_(std::move(request)),
      context_(worker_->services, settings_),
      wake_(worker_->context.get_executor(), Clock::time_point::max()),
      read_ns_(Scheduler::now()) {
  context_.identify(request_.headers, worker_->random);
}

Task<ReadResult> Exchange::receive() {
  if (!request_.has_body) co_return ReadResult::kOk;
  std::optional<ErrorAnswer> refused =
      context_.refuse_head(request_.method, request_.target, request_.has_body);
  if (!refused) {
    Refusal refusal;
    BodyShare share(worker_->body_bytes, settings_->body_bytes_max);
    const ReadResult result =
        co_await read_body(client_, watchdog_, *settings_, share, request_, refusal);
    read_ns_ = Scheduler::now();
    if (result == ReadResult::kOk || result == ReadResult::kGone) co_return result;
    request_.body = {};
    refused = result == ReadResult::kNoRoom
                  ? context_.refuse(Outcome::kRejectedFull, Reason::kBytesFull)
                  : context_.refuse(refusal);
  }
  co_await refuse(*refused);
  co_return ReadResult::kRefused;
}

Task<bool> Exchange::run(std::shared_ptr<void> owner) {
  client_.watch(std::move(owner), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->client_left();
  });
  const bool keep = co_await serve();
  client_.unwatch();
  write_record();
  co_return keep && !client_gone_ && !client_.overrun();
}

Task<void> Exchange::refuse(const Refusal& refusal) { co_await refuse(context_.refuse(refusal)); }

Task<void> Exchange::refuse(const ErrorAnswer& error) {
  request_.keep_alive = false;
  co_await answer(error);
  write_record();
}

void Exchange::abandon() {
  close(client_.socket());
  client_left();
}

void Exchange::take_decision(const Decision& decision) {
  if (decision.kind == Decision::Kind::kRevoke) {
    revoked_ = true;
    revoked_retry_after_s_ = decision.retry_after_s;
    if (upstream_ != nullptr) close(*upstream_);
    if (sent_) close(client_.socket());  // it may be all that we wait for
  } else {
    inbox_.push_back(decision);
  }
  wake_.cancel();
}

void Exchange::client_left() {
  client_gone_ = true;
  if (upstream_ != nullptr) close(*upstream_);
  wake_.cancel();
}

Task<bool> Exchange::serve() {
  context_.record.bytes_in = request_.body.size();
  if (const auto refused =
          context_.refuse_head(request_.method, request_.target, request_.has_body))
    co_return co_await answer(*refused);
  if (request_.method == "POST") co_return co_await serve_inference(api_of(request_.target));
  if (request_.method != "OPTIONS") {
    const auto own = context_.own_answer(request_.target);
    if (own && own->error) co_return co_await answer(*own->error);
    if (own) co_return co_await answer_json(own->body);
  }
  co_return co_await serve_unparked();
}

// Requests without a body cost an engine nothing worth queueing for.
Task<bool> Exchange::serve_unparked() {
  head_ = upstream_head(request_, *settings_->routing, client_.peer(), context_.id());
  finish_upstream_head(head_, false, 0);
  request_.drop_head();
  for (;;) {
    const std::optional<uint32_t> slot = worker_->services.backends.any();
    if (!slot) co_return co_await answer(context_.refuse_unparked());
    ++context_.record.attempts;
    const Attempt attempt = co_await forward(*slot);
    if (client_gone_ || attempt == Attempt::kClientLost) {
      context_.record.outcome = Outcome::kClientGone;
      co_return false;
    }
    if (attempt == Attempt::kDone) co_return request_.keep_alive;
    const bool again = attempt == Attempt::kBroken || attempt == Attempt::kUnreachable;
    if (again && retries_++ < settings_->upstream.retries) continue;
    co_return co_await answer_failure(attempt);
  }
}

Task<bool> Exchange::serve_inference(Api api) {
  if (const auto refused =
          context_.admit(worker_->classifier, api, request_.body, request_.headers, client_.peer()))
    co_return co_await answer(*refused);
  head_ = upstream_head(request_, *settings_->routing, client_.peer(), context_.id());
  finish_upstream_head(head_, true, context_.edits().size(request_.body));
  request_.drop_head();
  context_.submit(std::make_shared<Mailbox>(worker_, weak_from_this(), context_.routed().target));
  co_return co_await follow_decisions();
}

Task<bool> Exchange::follow_decisions() {
  for (;;) {
    co_await next_event();
    const bool ended = !inbox_.empty() && inbox_.front().kind == Decision::Kind::kEnd;
    if (client_gone_) {
      const Outcome left = context_.withdraw(Outcome::kClientGone, Outcome::kCancelled);
      context_.record.outcome = ended ? inbox_.front().outcome : left;
      co_return false;
    }
    if (ended) co_return co_await answer_end(inbox_.front());
    if (revoked_) {
      context_.withdraw(Outcome::kRevoked, Outcome::kRevoked);
      co_return co_await answer_revoked();
    }
    const Decision dispatch = inbox_.front();
    inbox_.erase(inbox_.begin());
    context_.dispatched(dispatch);
    const Attempt attempt = co_await forward(dispatch.endpoint);
    if (!context_.open())
      co_return attempt == Attempt::kDone&& request_.keep_alive;  // answered, told as completed
    if (client_gone_ || (attempt == Attempt::kClientLost && !revoked_)) {
      context_.record.outcome = Outcome::kClientGone;
      context_.complete(Outcome::kClientGone);
      co_return false;
    }
    if (revoked_) {
      context_.complete(Outcome::kRevoked);
      co_return co_await answer_revoked();
    }
    if (attempt == Attempt::kRejected) {
      context_.requeue(Engine::Requeue::kRejected);
      continue;
    }
    const bool again = attempt == Attempt::kBroken || attempt == Attempt::kUnreachable;
    if (again && retries_ < settings_->upstream.retries) {
      ++retries_;
      context_.requeue(Engine::Requeue::kBroken);
      continue;
    }
    context_.complete(Outcome::kUpstreamError);
    co_return co_await answer_failure(attempt);
  }
}

Task<void> Exchange::next_event() {
  while (inbox_.empty() && !interrupted()) {
    ErrorCode ignored;
    co_await wake_.async_wait(into(ignored));
  }
}

Task<bool> Exchange::answer_end(const Decision& decision) {
  co_return co_await answer(context_.ended(decision));
}

Task<bool> Exchange::answer_revoked() {
  const ErrorAnswer error = context_.revoked(revoked_retry_after_s_);
  if (sent_) co_return false;
  co_return co_await answer(error);
}

Task<bool> Exchange::answer_failure(Attempt attempt) {
  context_.record.outcome = Outcome::kUpstreamError;
  if (sent_) co_return false;  // all that is left is to cut the answer short
  const bool timed_out = attempt == Attempt::kTimedOut || attempt == Attempt::kUnreachable;
  co_return co_await answer(
      describe(Outcome::kUpstreamError, Reason::kNone, 0, timed_out, settings_->error_format),
      true);
}

Task<bool> Exchange::answer(const ErrorAnswer& error, bool with_endpoint) {
  context_.record.refusal = error.reason;
  const AnswerFraming frame = framing();
  const std::string text =
      own_answer(error, marks(with_endpoint), frame, request_.method == "HEAD");
  co_return co_await write_answer(text, error.status, frame.keep_alive);
}

Task<bool> Exchange::answer_json(const std::string& body) {
  const AnswerFraming frame = framing();
  const std::string text =
      own_answer(200, "application/json", body, marks(false), frame, request_.method == "HEAD");
  co_return co_await write_answer(text, 200, frame.keep_alive);
}

Task<bool> Exchange::write_answer(const std::string& text, uint16_t status, bool keep) {
  sent_ = true;
  context_.record.status = status;
  watchdog_.arm(kClientWriteNs, client_.socket());
  const ErrorCode ec = co_await client_.write(asio::buffer(text));
  watchdog_.disarm();
  co_return !ec && keep;
}

void Exchange::write_record() {
  context_.write_record(request_.method, request_.target,
                        request_.began_ns == 0 ? read_ns_ : request_.began_ns);
}

AnswerMarks Exchange::marks(bool with_endpoint) const {
  AnswerMarks marks;
  marks.request_id = context_.id();
  marks.parked = context_.record.parked;
  marks.queue_ms = context_.record.queue_ns / 1'000'000;
  if (with_endpoint && settings_->expose_endpoint) marks.endpoint = context_.endpoint;
  return marks;
}

AnswerFraming Exchange::framing() const {
  AnswerFraming framing;
  framing.keep_alive = request_.keep_alive && !worker_->closing && !client_.overrun() &&
                       !worker_->services.scheduler.draining();
  framing.client_is_1_1 = request_.is_1_1;
  return framing;
}

}  // namespace sluice
