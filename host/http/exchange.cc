#include "host/http/exchange.h"

#include <algorithm>

#include "core/limits.h"
#include "host/http/limits.h"

namespace sluice {
namespace {

constexpr uint16_t kClientClosedRequest = 499;

std::string random_id(std::mt19937_64& random) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string id(32, '0');
  uint64_t bits = 0;
  for (size_t i = 0; i < id.size(); ++i) {
    if (i % 16 == 0) bits = random();
    id[i] = kHex[(bits >> (i % 16 * 4)) & 0xF];
  }
  return id;
}

// The name in the path of GET /v1/models/NAME.
std::optional<std::string> model_in(std::string_view target) {
  constexpr std::string_view kModels = "/v1/models/";
  const std::string_view path = target.substr(0, target.find('?'));
  const bool named = path.size() > kModels.size() && path.starts_with(kModels);
  std::string name;
  if (!named || !append_percent_decoded(name, path.substr(kModels.size()))) return std::nullopt;
  return name;
}

}  // namespace

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
      request_id_(given_request_id(request_.headers)),
      wake_(worker_->context.get_executor(), Clock::time_point::max()),
      read_ns_(Scheduler::now()) {
  if (request_id_.empty()) request_id_ = random_id(worker_->random);
}

Exchange::~Exchange() {
  // Only a coroutine that was dropped leaves its request open.
  if (id_.seq != 0) withdraw(Outcome::kClientGone, Outcome::kCancelled);
}

Task<ReadResult> Exchange::receive() {
  if (!request_.has_body) co_return ReadResult::kOk;
  const config::HttpListener& limits = settings_->listener;
  std::optional<ErrorAnswer> refused = refusal_by_head();
  if (!refused) {
    Refusal refusal;
    BodyShare share(worker_->body_bytes, settings_->body_bytes_max);
    const ReadResult result =
        co_await read_body(client_, watchdog_, limits, share, request_, refusal);
    read_ns_ = Scheduler::now();
    if (result == ReadResult::kOk || result == ReadResult::kGone) co_return result;
    request_.body = {};
    if (result == ReadResult::kNoRoom) {
      record_.outcome = Outcome::kRejectedFull;
      record_.reason = Reason::kBytesFull;
      refused = describe(record_.outcome, record_.reason, kRetryAfterMinSeconds, false,
                         limits.error_format);
    } else {
      refused = describe_bad(refusal);
    }
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

Task<void> Exchange::refuse(const Refusal& refusal) { co_await refuse(describe_bad(refusal)); }

Task<void> Exchange::refuse(const ErrorAnswer& error) {
  request_.keep_alive = false;
  co_await answer(error);
  write_record();
}

ErrorAnswer Exchange::describe_bad(const Refusal& refusal) {
  record_.outcome = Outcome::kRejectedBad;
  return describe(refusal, settings_->listener.error_format);
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

// What can be refused before the body has been read; notes the outcome.
std::optional<ErrorAnswer> Exchange::refusal_by_head() {
  const std::string& method = request_.method;
  if (method == "POST" && is_inference(api_of(request_.target))) {
    if (!worker_->scheduler.draining()) return std::nullopt;
    record_.outcome = Outcome::kRejectedDraining;
    return describe(record_.outcome, Reason::kNone, kRetryAfterMinSeconds, false,
                    settings_->listener.error_format);
  }
  if (method == "POST")
    return describe_bad({404, "unknown-path", "unknown_path", "nothing is served at this path"});
  if (method != "GET" && method != "HEAD" && method != "OPTIONS")
    return describe_bad({405, "bad-request", "method_not_allowed", "this method is not served"});
  if (request_.has_body)
    return describe_bad(
        {400, "bad-request", "invalid_request", "only POST requests may have a body"});
  return std::nullopt;
}

Task<bool> Exchange::serve() {
  record_.bytes_in = request_.body.size();
  if (const auto refused = refusal_by_head()) co_return co_await answer(*refused);
  const Api api = api_of(request_.target);
  const std::string& method = request_.method;
  if (method == "POST") co_return co_await serve_inference(api);
  if (api == Api::kModels && method != "OPTIONS") co_return co_await answer_models();
  if (const auto name = model_in(request_.target); name && method != "OPTIONS")
    co_return co_await answer_model(*name);
  co_return co_await serve_unparked();
}

// Requests without a body cost an engine nothing worth queueing for.
Task<bool> Exchange::serve_unparked() {
  head_ = upstream_head(request_, *settings_->routing, client_.peer(), request_id_);
  finish_upstream_head(head_, false, 0);
  request_.drop_head();
  for (;;) {
    const std::optional<uint32_t> slot = worker_->backends.any();
    if (!slot) {
      record_.outcome = Outcome::kRejectedNoEndpoint;
      // As what is parked is told while nothing is dispatched.
      co_return co_await answer(describe(record_.outcome, Reason::kNone, kRetryAfterMaxSeconds,
                                         false, settings_->listener.error_format));
    }
    const Attempt attempt = co_await forward(*slot);
    if (client_gone_ || attempt == Attempt::kClientLost) {
      record_.outcome = Outcome::kClientGone;
      co_return false;
    }
    if (attempt == Attempt::kDone) co_return request_.keep_alive;
    const bool again = attempt == Attempt::kBroken || attempt == Attempt::kUnreachable;
    if (again && retries_++ < settings_->upstream.retries) continue;
    co_return co_await answer_failure(attempt);
  }
}

Task<bool> Exchange::serve_inference(Api api) {
  if (auto refusal = worker_->classifier.classify(api, request_.body, facts_))
    co_return co_await answer(describe_bad(*refusal));
  const Routing& routing = *settings_->routing;
  routed_ = routing.route(facts_, request_.body, request_.headers, client_.peer(), request_id_,
                          Scheduler::now());
  const std::optional<ClassId> eligible = worker_->backends.class_for(routed_.target);
  if (!eligible) {
    record_.outcome = Outcome::kRejectedUnknownModel;
    co_return co_await answer(
        describe(record_.outcome, Reason::kNone, 0, false, settings_->listener.error_format));
  }
  edit_model(facts_, routed_.target, edits_);
  if (settings_->stream_usage == config::StreamUsage::kInject)
    usage_injected_ = edit_usage(facts_, edits_);
  head_ = upstream_head(request_, routing, client_.peer(), request_id_);
  finish_upstream_head(head_, true, edits_.size(request_.body));
  request_.drop_head();

  record_.parked = true;
  const auto mailbox = std::make_shared<Mailbox>(worker_, weak_from_this(), routed_.target);
  id_ = worker_->scheduler.submit(routed_.submission(*eligible), mailbox);
  routed_.prefix = {};  // the engine has its own
  // The classes may have changed on the way there, when the request was not yet among those that
  // were told.
  const Backends& backends = worker_->backends;
  if (backends.class_for(routed_.target) != eligible) {
    worker_->scheduler.reclassify(
        [&](std::string_view target) { return backends.class_for(target); });
  }
  co_return co_await follow_decisions();
}

Task<bool> Exchange::follow_decisions() {
  for (;;) {
    co_await next_event();
    const bool ended = !inbox_.empty() && inbox_.front().kind == Decision::Kind::kEnd;
    if (client_gone_) {
      const Outcome left = withdraw(Outcome::kClientGone, Outcome::kCancelled);
      record_.outcome = ended ? inbox_.front().outcome : left;
      co_return false;
    }
    if (ended) co_return co_await answer_end(inbox_.front());
    if (revoked_) {
      withdraw(Outcome::kRevoked, Outcome::kRevoked);
      co_return co_await answer_revoked();
    }
    const Decision dispatch = inbox_.front();
    inbox_.erase(inbox_.begin());
    record_.queue_ns = dispatch.parked_ns;
    const Attempt attempt = co_await forward(dispatch.endpoint);
    if (id_.seq == 0)
      co_return attempt == Attempt::kDone&& request_.keep_alive;  // answered, told as completed
    if (client_gone_ || (attempt == Attempt::kClientLost && !revoked_)) {
      record_.outcome = Outcome::kClientGone;
      complete(Outcome::kClientGone);
      co_return false;
    }
    if (revoked_) {
      complete(Outcome::kRevoked);
      co_return co_await answer_revoked();
    }
    if (attempt == Attempt::kRejected) {
      worker_->scheduler.requeue(id_, Engine::Requeue::kRejected);
      continue;
    }
    const bool again = attempt == Attempt::kBroken || attempt == Attempt::kUnreachable;
    if (again && retries_ < settings_->upstream.retries) {
      ++retries_;
      worker_->scheduler.requeue(id_, Engine::Requeue::kBroken);
      continue;
    }
    complete(Outcome::kUpstreamError);
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
  id_ = {};
  record_.outcome = decision.outcome;
  record_.reason = decision.reason;
  record_.queue_ns = decision.parked_ns;
  co_return co_await answer(describe(decision.outcome, decision.reason, decision.retry_after_s,
                                     false, settings_->listener.error_format));
}

Task<bool> Exchange::answer_revoked() {
  record_.outcome = Outcome::kRevoked;
  if (sent_) co_return false;
  co_return co_await answer(describe(Outcome::kRevoked, Reason::kNone, revoked_retry_after_s_,
                                     false, settings_->listener.error_format));
}

Task<bool> Exchange::answer_failure(Attempt attempt) {
  record_.outcome = Outcome::kUpstreamError;
  if (sent_) co_return false;  // all that is left is to cut the answer short
  const bool timed_out = attempt == Attempt::kTimedOut || attempt == Attempt::kUnreachable;
  co_return co_await answer(describe(Outcome::kUpstreamError, Reason::kNone, 0, timed_out,
                                     settings_->listener.error_format),
                            true);
}

Task<bool> Exchange::answer(const ErrorAnswer& error, bool with_endpoint) {
  record_.refusal = error.reason;
  const AnswerFraming frame = framing();
  const std::string text =
      own_answer(error, marks(with_endpoint), frame, request_.method == "HEAD");
  co_return co_await write_answer(text, error.status, frame.keep_alive);
}

std::vector<std::string> Exchange::models() const {
  std::vector<std::string> names = settings_->routing->models();
  for (std::string& name : worker_->backends.models()) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  return names;
}

Task<bool> Exchange::answer_models() { co_return co_await answer_json(models_json(models())); }

Task<bool> Exchange::answer_model(std::string_view name) {
  const std::vector<std::string> names = models();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    record_.outcome = Outcome::kRejectedUnknownModel;
    co_return co_await answer(
        describe(record_.outcome, Reason::kNone, 0, false, settings_->listener.error_format));
  }
  co_return co_await answer_json(model_json(name));
}

Task<bool> Exchange::answer_json(const std::string& body) {
  const AnswerFraming frame = framing();
  const std::string text =
      own_answer(200, "application/json", body, marks(false), frame, request_.method == "HEAD");
  co_return co_await write_answer(text, 200, frame.keep_alive);
}

Task<bool> Exchange::write_answer(const std::string& text, uint16_t status, bool keep) {
  sent_ = true;
  record_.status = status;
  watchdog_.arm(kClientWriteNs, client_.socket());
  const ErrorCode ec = co_await client_.write(asio::buffer(text));
  watchdog_.disarm();
  co_return !ec && keep;
}

void Exchange::complete(Outcome outcome) {
  if (id_.seq == 0) return;
  Completion completion;
  completion.outcome = outcome;
  completion.has_usage = usage_.seen;
  completion.prompt_tokens = usage_.prompt;
  completion.cached_tokens = usage_.cached;
  completion.output_tokens = usage_.output;
  completion.made_nothing = outcome == Outcome::kCompleted && record_.status >= 400;
  completion.is_stream = facts_.stream && counts_events();
  completion.output_events = data_events_;
  worker_->scheduler.complete(std::exchange(id_, {}), completion);
}

Outcome Exchange::withdraw(Outcome in_flight, Outcome parked) {
  const bool flying = worker_->scheduler.cancel(id_) == Engine::Cancel::kInFlight;
  if (flying) complete(in_flight);
  id_ = {};
  return flying ? in_flight : parked;
}

void Exchange::write_record() {
  if (!worker_->record) return;
  const Routing& routing = *settings_->routing;
  record_.request_id = request_id_;
  record_.method = request_.method;
  record_.path = std::string_view(request_.target).substr(0, request_.target.find('?'));
  record_.flow = routed_.flow;
  if (record_.parked) record_.band = routing.band_name(routed_.band);
  record_.model = facts_.model;
  record_.target = routed_.target;
  record_.endpoint = endpoint_;
  if (record_.outcome == Outcome::kClientGone || record_.outcome == Outcome::kCancelled) {
    record_.status = kClientClosedRequest;
  }
  record_.total_ns = Scheduler::now() - (request_.began_ns == 0 ? read_ns_ : request_.began_ns);
  record_.has_usage = usage_.seen;
  record_.prompt_tokens = usage_.prompt;
  record_.cached_tokens = usage_.cached;
  record_.output_tokens = usage_.seen ? usage_.output : data_events_;
  worker_->record(record_);
}

AnswerMarks Exchange::marks(bool with_endpoint) const {
  AnswerMarks marks;
  marks.request_id = request_id_;
  marks.parked = record_.parked;
  marks.queue_ms = record_.queue_ns / 1'000'000;
  if (with_endpoint && settings_->listener.expose_endpoint) marks.endpoint = endpoint_;
  return marks;
}

AnswerFraming Exchange::framing() const {
  AnswerFraming framing;
  framing.keep_alive = request_.keep_alive && !worker_->closing && !client_.overrun() &&
                       !worker_->scheduler.draining();
  framing.client_is_1_1 = request_.is_1_1;
  return framing;
}

}  // namespace sluice
