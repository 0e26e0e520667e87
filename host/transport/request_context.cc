#include "host/transport/request_context.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/limits.h"
#include "host/request/text.h"

namespace sluice {
namespace {

constexpr uint32_t kProgressEvents = 16;  // of a stream between two progress reports
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

RequestContext::RequestContext(const TransportServices& services,
                               std::shared_ptr<const TransportSettings> settings)
    : services_(services), settings_(std::move(settings)) {}

RequestContext::~RequestContext() {
  if (open()) withdraw(Outcome::kClientGone, Outcome::kCancelled);
}

// ---- what it is ----

void RequestContext::identify(Headers headers, std::mt19937_64& random) {
  request_id_ = given_request_id(headers);
  if (request_id_.empty()) request_id_ = random_id(random);
}

std::optional<ErrorAnswer> RequestContext::refuse_head(std::string_view method,
                                                       std::string_view target, bool has_body) {
  if (method == "POST" && is_inference(api_of(target))) {
    if (!draining()) return std::nullopt;
    return refuse(Outcome::kRejectedDraining);
  }
  if (method == "POST")
    return refuse({404, "unknown-path", "unknown_path", "nothing is served at this path"});
  if (method != "GET" && method != "HEAD" && method != "OPTIONS")
    return refuse({405, "bad-request", "method_not_allowed", "this method is not served"});
  if (has_body)
    return refuse({400, "bad-request", "invalid_request", "only POST requests may have a body"});
  return std::nullopt;
}

ErrorAnswer RequestContext::refuse(const Refusal& refusal) {
  record.outcome = Outcome::kRejectedBad;
  return describe(refusal, settings_->error_format);
}

ErrorAnswer RequestContext::refuse(Outcome outcome, Reason reason) {
  record.outcome = outcome;
  record.reason = reason;
  return describe(outcome, reason, kRetryAfterMinSeconds, false, settings_->error_format);
}

ErrorAnswer RequestContext::refuse_unparked() {
  record.outcome = Outcome::kRejectedNoEndpoint;
  // As what is parked is told while nothing is dispatched.
  return describe(record.outcome, Reason::kNone, kRetryAfterMaxSeconds, false,
                  settings_->error_format);
}

std::optional<ErrorAnswer> RequestContext::admit(Classifier& classifier, Api api, std::string& body,
                                                 Headers headers, const Peer& peer,
                                                 std::optional<std::vector<uint32_t>> only) {
  if (auto refusal = classifier.classify(api, body, facts_)) return refuse(*refusal);
  routed_ = settings_->routing->route(facts_, body, headers, peer, request_id_, Scheduler::now());
  const std::optional<ClassId> eligible = services_.backends.class_for(routed_.target);
  if (!eligible) return refuse(Outcome::kRejectedUnknownModel);
  eligible_ = *eligible;
  narrow(std::move(only));
  edit_model(facts_, routed_.target, edits_);
  if (settings_->stream_usage == config::StreamUsage::kInject)
    usage_injected_ = edit_usage(facts_, edits_);
  return std::nullopt;
}

void RequestContext::admit_unseen(Headers headers, const Peer& peer, uint64_t body_bytes,
                                  std::optional<std::vector<uint32_t>> only) {
  routed_ = settings_->routing->route(facts_, {}, headers, peer, request_id_, Scheduler::now());
  routed_.target.clear();
  routed_.bytes = body_bytes;
  routed_.prompt_bytes = static_cast<uint32_t>(std::min<uint64_t>(body_bytes, kNone - 1));
  eligible_ = services_.backends.class_of_all();
  narrow(std::move(only));
}

// Order inside a flow is strict, so those that may go elsewhere must not wait behind one that may
// not: a subset's requests are a flow of their own.
void RequestContext::narrow(std::optional<std::vector<uint32_t>> only) {
  only_ = std::move(only);
  if (!only_) return;
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const uint32_t slot : *only_) hash = (hash ^ slot) * 0x100000001b3;
  routed_.flow += fmt::format("|subset-{:08x}", static_cast<uint32_t>(hash ^ hash >> 32));
}

// ---- at the scheduler ----

void RequestContext::submit(std::shared_ptr<Waiter> waiter) {
  record.parked = true;
  Submission submission = routed_.submission(eligible_);
  submission.streams = facts_.stream && counts_events() && !answer_seen_late_;
  if (only_) submission.only = *only_;
  id_ = services_.scheduler.submit(submission, std::move(waiter));
  routed_.prefix = {};  // the engine has its own
  only_.reset();
  if (routed_.target.empty()) return;
  // The classes may have changed on the way there, when the request was not yet among those that
  // were told.
  const Backends& backends = services_.backends;
  if (backends.class_for(routed_.target) != eligible_) {
    services_.scheduler.reclassify(
        [&](std::string_view target) { return backends.class_for(target); });
  }
}

void RequestContext::dispatched(const Decision& decision) {
  record.queue_ns = decision.parked_ns;
  ++record.attempts;
}

ErrorAnswer RequestContext::ended(const Decision& decision) {
  id_ = {};
  record.outcome = decision.outcome;
  record.reason = decision.reason;
  record.queue_ns = decision.parked_ns;
  return describe(decision.outcome, decision.reason, decision.retry_after_s, false,
                  settings_->error_format);
}

ErrorAnswer RequestContext::revoked(uint32_t retry_after_s) {
  record.outcome = Outcome::kRevoked;
  return describe(Outcome::kRevoked, Reason::kNone, retry_after_s, false, settings_->error_format);
}

void RequestContext::requeue(Engine::Requeue why) { services_.scheduler.requeue(id_, why); }

void RequestContext::progress(const UsageReader& usage) {
  // The first event is told at once: it shows that the prompt is done.
  const uint32_t step = reported_events_ == 0 ? 1 : kProgressEvents;
  if (usage.data_events() < reported_events_ + step) return;
  reported_events_ = usage.data_events();
  note_usage(usage);
  if (open() && counts_events()) services_.scheduler.progress(id_, data_events_);
}

void RequestContext::served_by(uint32_t slot) {
  if (open())
    services_.scheduler.with_engine(
        [&](Engine& engine, TimeNs now) { return engine.served_by(now, id_, slot); });
}

void RequestContext::complete(Outcome outcome) {
  if (!open()) return;
  Completion completion;
  completion.outcome = outcome;
  completion.has_usage = usage_.seen;
  completion.prompt_tokens = usage_.prompt;
  completion.cached_tokens = usage_.cached;
  completion.output_tokens = usage_.output;
  completion.made_nothing = outcome == Outcome::kCompleted && record.status >= 400;
  completion.was_full =
      outcome == Outcome::kCompleted && (record.status == 429 || record.status == 503);
  completion.is_stream = facts_.stream && counts_events() && !answer_unseen_;
  completion.output_events = data_events_;
  services_.scheduler.complete(std::exchange(id_, {}), completion);
}

Outcome RequestContext::withdraw(Outcome in_flight, Outcome parked) {
  const bool flying = services_.scheduler.cancel(id_) == Engine::Cancel::kInFlight;
  if (flying) complete(in_flight);
  id_ = {};
  return flying ? in_flight : parked;
}

// ---- its answer ----

UsageReader::Options RequestContext::usage_options(std::string_view content_type) {
  UsageReader::Options options;
  options.sse = starts_with_ignoring_case(content_type, "text/event-stream");
  options.drop_usage_event = usage_injected_;
  options.only_deltas = facts_.api == Api::kResponses;
  if (options.sse || starts_with_ignoring_case(content_type, "application/json")) {
    options.incoming = facts_.model;
    options.target = routed_.target;
  }
  record.streamed = options.sse;
  return options;
}

void RequestContext::note_usage(const UsageReader& usage) {
  usage_ = usage.usage();
  if (counts_events()) data_events_ = usage.data_events();
}

std::vector<std::string> RequestContext::models() const {
  std::vector<std::string> names = settings_->routing->models();
  for (std::string& name : services_.backends.models()) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(std::move(name));
  }
  return names;
}

std::optional<RequestContext::OwnAnswer> RequestContext::own_answer(std::string_view target) {
  if (api_of(target) == Api::kModels) return OwnAnswer{models_json(models()), std::nullopt};
  const std::optional<std::string> name = model_in(target);
  if (!name) return std::nullopt;
  const std::vector<std::string> names = models();
  if (std::find(names.begin(), names.end(), *name) != names.end())
    return OwnAnswer{model_json(*name), std::nullopt};
  return OwnAnswer{{}, refuse(Outcome::kRejectedUnknownModel)};
}

void RequestContext::write_record(std::string_view method, std::string_view target,
                                  TimeNs began_ns) {
  if (!services_.record) return;
  record.request_id = request_id_;
  record.method = method;
  record.path = target.substr(0, target.find('?'));
  record.flow = routed_.flow;
  if (record.parked) record.band = settings_->routing->band_name(routed_.band);
  record.model = facts_.model;
  record.target = routed_.target;
  record.endpoint = endpoint;
  if (record.outcome == Outcome::kClientGone || record.outcome == Outcome::kCancelled) {
    record.status = kClientClosedRequest;
  }
  record.total_ns = Scheduler::now() - began_ns;
  record.has_usage = usage_.seen;
  record.prompt_tokens = usage_.prompt;
  record.cached_tokens = usage_.cached;
  record.output_tokens = usage_.seen ? usage_.output : data_events_;
  services_.record(record);
}

}  // namespace sluice
