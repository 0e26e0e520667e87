#include "tests/bench/bench_engine.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace sluice::bench {
namespace {

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "sluice-bench: %s\n", why.c_str());
  std::exit(1);
}

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t retain_idle_ns = 0;  // what the policy being made asked for

const sluice_host_v1 kHost = {
    .struct_size = sizeof(sluice_host_v1),
    .abi_minor = SLUICE_ABI_MINOR,
    .ctx = nullptr,
    .log = [](void*, int32_t, const char*, size_t) {},
    .declare_int = [](void*, uint32_t, const char*, int64_t) { return SLUICE_NONE; },
    .declare_float = [](void*, uint32_t, const char*, double) { return SLUICE_NONE; },
    .retain_idle_flows = [](void*, uint64_t ns) { retain_idle_ns = std::max(retain_idle_ns, ns); },
    .extension = [](void*, const char*) -> const void* { return nullptr; },
    .fault = [](void*, const char*, size_t) {},
};

}  // namespace

PolicyPtr load_policy(const std::string& file, const std::string& name) {
  const std::string path = std::string(SLUICE_POLICY_DIR) + "/" + file + ".so";
  void* image = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed, as in the host
  if (image == nullptr) die(dlerror());
  const auto* entry = static_cast<const sluice_entry_v1*>(dlsym(image, SLUICE_ENTRY_SYMBOL));
  if (entry == nullptr) die(path + " has no " SLUICE_ENTRY_SYMBOL);
  for (auto policy = entry->policies; *policy != nullptr; ++policy) {
    const sluice_policy_v1& found = **policy;
    if (name != found.name) continue;
    std::vector<sluice_value> values;
    for (uint32_t i = 0; i < found.param_count; ++i) values.push_back(found.params[i].standard);
    sluice_error error{};
    void* object = nullptr;
    retain_idle_ns = 0;
    if (found.create != nullptr) {
      object = found.create(&kHost, values.data(), found.param_count, &error);
      if (object == nullptr) die(path + ": " + error.text);
    }
    auto policy_made = std::make_shared<Policy>(&found, object, "sluice/" + name);
    policy_made->retain_idle_ns = retain_idle_ns;
    return policy_made;
  }
  die(path + " has no policy " + name);
}

Pipeline plain_pipeline() {
  Pipeline pipeline;
  pipeline.bands.resize(1);
  pipeline.bands[0].ttl_ns = pipeline.bands[0].no_endpoint_ttl_ns = 3'600'000'000'000;
  return pipeline;
}

Pipeline standard_pipeline() {
  Pipeline pipeline = plain_pipeline();
  pipeline.bands[0].ordering = load_policy("ordering_fcfs", "fcfs");
  pipeline.bands[0].fairness = load_policy("fairness_round_robin", "round-robin");
  pipeline.bands[0].eviction = load_policy("eviction_lowest_band_first", "lowest-band-first");
  pipeline.scorers.push_back({load_policy("scoring_queue_depth", "queue-depth"), 2});
  pipeline.scorers.push_back({load_policy("scoring_kv_cache", "kv-cache"), 2});
  pipeline.scorers.push_back({load_policy("scoring_prefix_cache", "prefix-cache"), 3});
  return pipeline;
}

BenchEngine::BenchEngine(Pipeline pipeline, const Load& load, DecisionLog* log) : load_(load) {
  pipeline.bands.resize(1);
  for (uint32_t band = 0; band < load.bands; ++band) {
    if (band != 0) pipeline.bands.push_back(pipeline.bands[0]);
    pipeline.bands[band].name = "band-" + std::to_string(band);
    pipeline.bands[band].priority = -static_cast<int32_t>(band);
  }
  auto made = Engine::create(std::move(pipeline), 1, now_);
  if (!made) die(made.error());
  engine_ = std::move(*made);
  engine_->set_log(now_, log);
  for (uint32_t flow = 0; flow < load.flows; ++flow) {
    names_.push_back("model|tenant-" + std::to_string(flow));
    std::vector<uint64_t>& prompt = prompts_.emplace_back();
    for (uint32_t block = 0; block < load.prompt_blocks; ++block) {
      prompt.push_back(
          mix(block + 1 + (block * 2 < load.prompt_blocks ? 0 : uint64_t{flow} << 32)));
    }
  }
  std::vector<uint32_t> members;
  for (uint32_t slot = 0; slot < load.endpoints; ++slot) members.push_back(slot);
  engine_->set_class(now_, 0, members);
  for (const uint32_t slot : members) engine_->set_endpoint(now_, slot, load.room, true);
  for (const uint32_t slot : members) {
    engine_->report(now_, slot,
                    {.taken_ns = now_,
                     .waiting = slot % 3,
                     .running = 8,
                     .kv_used = 0.1F * static_cast<float>(slot % 7)});
  }
  in_flight_.resize(load.in_flight != 0 ? load.in_flight : size_t{load.endpoints} * load.room);
  const uint64_t wanted = in_flight_.size() + load.parked;
  for (uint64_t i = 0; i < wanted; ++i) submit(static_cast<uint32_t>(i % load.flows));
  add_bystanders(load.endpoints);
}

void BenchEngine::add_bystanders(uint32_t endpoints) {
  for (uint32_t i = 0; i < load_.idle_flows; ++i) pass_by();
  if (load_.blocked_flows == 0) return;
  constexpr ClassId kBlocked = 1;
  engine_->set_class(now_, kBlocked, {{endpoints}});
  engine_->set_endpoint(now_, endpoints, 1, true);
  submit_bystander(bystanders_++, kBlocked);  // takes the room, for good
  engine_->decisions().clear();
  for (uint32_t i = 0; i < load_.blocked_flows; ++i) submit_bystander(bystanders_++, kBlocked);
  if (!engine_->decisions().empty()) die("what was to be blocked is not");
}

RequestId BenchEngine::submit_bystander(uint64_t number, ClassId eligible) {
  now_ += 100;
  return engine_->submit(now_, {.flow = "model|bystander-" + std::to_string(number),
                                .flow_hash = mix(number + (uint64_t{1} << 40)),
                                .eligible = eligible,
                                .bytes = 1000,
                                .prompt_tokens = 200,
                                .output_expected = 50});
}

void BenchEngine::pass_by() {
  const RequestId id = submit_bystander(bystanders_++, 0);
  engine_->cancel(now_, id);
  engine_->decisions().clear();
}

RequestId BenchEngine::submit(uint32_t flow) {
  now_ += 100;
  const RequestId id =
      engine_->submit(now_, {.flow = names_[flow],
                             .flow_hash = mix(flow + 1),
                             .band = flow % load_.bands,
                             .bytes = 1000,
                             .prompt_tokens = 200 + flow % 100,
                             .output_expected = 50 + static_cast<uint32_t>(mix(++random_) % 100),
                             .prefix = prompts_[flow]});
  if (id.slot >= flow_of_slot_.size()) flow_of_slot_.resize(id.slot + 1);
  flow_of_slot_[id.slot] = flow;
  take_decisions();
  return id;
}

void BenchEngine::turn() {
  if (count_ == 0) die("nothing is in flight to end");
  const RequestId id = in_flight_[oldest_];
  oldest_ = (oldest_ + 1) % in_flight_.size();
  --count_;
  now_ += 100;
  engine_->complete(now_, id, {.has_usage = true, .prompt_tokens = 210, .output_tokens = 60});
  const size_t before = count_;
  take_decisions();
  if (load_.parked == 0) {
    submit(flow_of_slot_[id.slot]);
    return;
  }
  if (count_ == before) die("a request ended and none was dispatched");
  const RequestId dispatched = in_flight_[(oldest_ + count_ - 1) % in_flight_.size()];
  submit(flow_of_slot_[dispatched.slot]);
}

void BenchEngine::take_decisions() {
  for (const Decision& decision : engine_->decisions()) {
    if (decision.kind != Decision::Kind::kDispatch) continue;
    if (count_ == in_flight_.size()) die("more dispatched than there is room");
    in_flight_[(oldest_ + count_++) % in_flight_.size()] = decision.id;
  }
  engine_->decisions().clear();
}

}  // namespace sluice::bench
