#include "host/simulate/submissions.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/picker.h"
#include "host/request/prefix.h"
#include "host/serve/build_pipeline.h"
#include "host/traces/limits.h"

namespace sluice::simulate {
namespace {

// A block of a trace is one of the host's prefix index.
static_assert(traces::kBlockTokens == kPrefixBlockTokens);

constexpr std::string_view kObjectiveHeader = "x-llm-d-inference-objective";

}  // namespace

Submissions::Submissions(const Setup& setup, std::shared_ptr<const ClassMap> classes)
    : setup_(setup), classes_(std::move(classes)), first_model_("model") {
  for (const config::FlowComponent& component : setup.config.flow_key)
    if (flow_header_.empty() && component.kind == config::FlowComponent::Kind::kHeader)
      flow_header_ = component.header;
  if (!setup.config.models.empty()) first_model_ = setup.config.models.front().name;
  for (const config::Model& model : setup.config.models)
    draws_targets_ = draws_targets_ || model.targets.size() > 1;
}

std::shared_ptr<const RequestKind> Submissions::kind_of(const traces::Arrival& arrival,
                                                        uint64_t id) {
  if (draws_targets_) return make(arrival, id);
  key_.clear();
  for (std::string_view part : {arrival.flow, arrival.objective, arrival.model, arrival.band}) {
    key_ += part;
    key_ += '\0';
  }
  const auto found = kinds_.find(key_);
  if (found != kinds_.end()) return found->second;
  if (kinds_.size() >= kKindsMax) kinds_.clear();
  return kinds_.emplace(key_, make(arrival, id)).first->second;
}

std::shared_ptr<const RequestKind> Submissions::make(const traces::Arrival& arrival,
                                                     uint64_t id) const {
  RequestFacts facts;
  facts.api = Api::kCompletions;
  facts.model = arrival.model.empty() ? first_model_ : std::string(arrival.model);
  std::vector<Header> headers;
  if (!arrival.objective.empty()) headers.push_back({kObjectiveHeader, arrival.objective});
  if (!arrival.flow.empty() && !flow_header_.empty())
    headers.push_back({flow_header_, arrival.flow});

  auto kind = std::make_shared<RequestKind>();
  kind->routed = setup_.routing->route(facts, "", headers, Peer(), fmt::format("{}", id), 0);
  if (!arrival.band.empty()) {
    const auto& bands = setup_.pipeline.bands;
    const auto named = std::ranges::find(bands, arrival.band, &BandConfig::name);
    if (named != bands.end()) kind->routed.band = static_cast<uint32_t>(named - bands.begin());
  }
  kind->tenant = arrival.flow.empty() ? kind->routed.flow : std::string(arrival.flow);
  kind->eligible = classes_->find(kind->routed.target);
  kind->submission = kind->routed.submission(kind->eligible.value_or(0));
  return kind;
}

Submission Submissions::submission(const RequestKind& kind, const traces::Arrival& arrival,
                                   const std::vector<uint64_t>& prefix) const {
  Submission s = kind.submission;
  const uint64_t bytes = uint64_t{arrival.prompt_tokens} * kPrefixBytesPerToken;
  s.prompt_bytes = static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX - 1));
  s.bytes = bytes;
  s.choices = 1;
  s.streams = true;
  s.prefix = prefix;
  return s;
}

void Submissions::prefix_of(const traces::Arrival& arrival, uint64_t model,
                            std::vector<uint64_t>& out) {
  out.clear();
  const size_t blocks = std::min(arrival.blocks.size(), kPrefixBlocksMax);
  for (size_t i = 0; i < blocks; ++i) out.push_back(Random::mix(arrival.blocks[i] ^ model));
}

}  // namespace sluice::simulate
