#include "host/simulate/measures.h"

#include <algorithm>
#include <numeric>

#include "host/simulate/fairness.h"

namespace sluice::simulate {
namespace {

constexpr double kNsPerS = 1e9;

double seconds(TimeNs ns) { return static_cast<double>(ns) / kNsPerS; }

// Of VALUES, a step of STEP_S each, those of RUN's window.
void keep_window(std::vector<double>& values, const RunResult& run, double step_s) {
  const auto from = static_cast<size_t>(run.window_from_s / step_s);
  const auto to = static_cast<size_t>(run.window_to_s / step_s);
  values.resize(std::min(values.size(), to));
  values.erase(values.begin(),
               values.begin() + static_cast<ptrdiff_t>(std::min(from, values.size())));
}

}  // namespace

Measures::Measures(const Setup& setup, const MeasureOptions& options)
    : setup_(setup), options_(options), output_cost_(setup.pipeline.cost.output) {
  all_.name = "all";
  for (const BandConfig& band : setup.pipeline.bands) bands_.emplace_back().name = band.name;
  for (const ServerModel& server : setup.servers) servers_.emplace_back().name = server.name;
  busy_.resize(servers_.size());
  const auto add = [&](size_t count) {
    const size_t first = over_time_.add_quantity();
    for (size_t i = 1; i < count; ++i) over_time_.add_quantity();
    return first;
  };
  parked_ = add(bands_.size());
  running_ = add(servers_.size());
  waiting_ = add(servers_.size());
  kv_used_ = add(servers_.size());
  made_prompt_ = add(1);
  made_output_ = add(1);
  made_requests_ = add(1);
}

uint32_t Measures::tenant(const std::string& name, double weight) {
  const auto found = tenant_index_.find(name);
  if (found != tenant_index_.end()) return found->second;
  // Beyond the limit tenants share a row.
  const bool timed = tenants_.size() < kTenantsTimedMax;
  if (tenants_.size() > kTenantsTimedMax) return kTenantsTimedMax;
  const auto index = static_cast<uint32_t>(tenants_.size());
  Tenant& t = tenants_.emplace_back();
  t.group.name = timed ? name : "all others";
  t.weight = timed ? weight : 1;
  t.timed = timed;
  if (timed) {
    tenant_index_.emplace(name, index);
    t.served = tenants_over_time_.add_quantity();
    t.asked = tenants_over_time_.add_quantity();
    t.waited = tenants_over_time_.add_quantity();
  }
  return index;
}

template <typename F>
void Measures::each_group(const RequestRecord& r, F&& f) {
  f(all_);
  f(bands_[r.band]);
  f(tenants_[r.tenant].group);
}

void Measures::arrived(TimeNs now, const RequestRecord& r) {
  first_arrival_ = std::min(first_arrival_, now);
  each_group(r, [](Group& g) { ++g.requests; });
  if (const Tenant& t = tenants_[r.tenant]; t.timed)
    tenants_over_time_.add_amount(t.asked, now, now, service(r.prompt, r.output));
  if (!in_window(r)) return;
  ++offered_requests_;
  offered_tokens_ += r.prompt + r.output;
}

void Measures::ended(TimeNs now, const RequestRecord& r, Outcome outcome, uint32_t server) {
  const bool answered = outcome == Outcome::kCompleted && r.first_token != kNever;
  each_group(r, [&](Group& g) {
    ++g.ended[static_cast<size_t>(outcome)];
    g.in_window += in_window(r) ? 1 : 0;
    if (!answered) return;
    g.prompt_tokens += r.prompt;
    g.output_tokens += r.made;
    g.cached_tokens += r.cached;
    g.service += service(r.prompt, r.made);
  });
  if (!answered) return;
  ServerResult& s = servers_[server];
  ++s.requests;
  s.prompt_tokens += r.prompt;
  s.output_tokens += r.made;
  s.cached_tokens += r.cached;
  over_time_.add_amount(made_prompt_, r.first_token, r.first_token, r.prompt);
  over_time_.add_amount(made_output_, r.first_token, now, r.made);
  over_time_.add_amount(made_requests_, now, now, 1);
  if (const Tenant& t = tenants_[r.tenant]; t.timed)
    tenants_over_time_.add_amount(t.served, r.first_token, now, service(r.prompt, r.made));
  if (!in_window(r)) return;

  const TimeNs ttft = r.first_token - r.arrival;
  const TimeNs itl = r.made > 1 ? (now - r.first_token) / (r.made - 1) : 0;
  const bool met = ttft <= options_.slo_ttft_ns && itl <= options_.slo_itl_ns;
  each_group(r, [&](Group& g) {
    g.wait.add(ttft - std::min(ttft, r.alone));
    g.ttft.add(ttft);
    if (r.made > 1) g.itl.add(itl);
    g.e2e.add(now - r.arrival);
    g.parked.add(r.dispatched - r.arrival);
    g.regret.add(r.regret);
    g.slo_met += met ? 1 : 0;
  });
}

void Measures::parked(TimeNs now, uint32_t band, uint32_t count) {
  over_time_.set_level(parked_ + band, now, count);
}

void Measures::waits(TimeNs now, uint32_t tenant, int by) {
  Tenant& t = tenants_[tenant];
  t.waiting = static_cast<uint32_t>(static_cast<int>(t.waiting) + by);
  if (t.timed && (t.waiting == 0 || (t.waiting == 1 && by > 0)))
    tenants_over_time_.set_level(t.waited, now, t.waiting == 0 ? 0 : 1);
}

void Measures::server(TimeNs now, uint32_t server, uint32_t running, uint32_t waiting,
                      float kv_used) {
  over_time_.set_level(running_ + server, now, running);
  over_time_.set_level(waiting_ + server, now, waiting);
  over_time_.set_level(kv_used_ + server, now, static_cast<double>(kv_used));
  ServerResult& s = servers_[server];
  Busy& busy = busy_[server];
  if (busy.running != 0) s.busy_s += seconds(now - busy.since);
  busy = {now, running};
  s.most_waiting = std::max(s.most_waiting, waiting);
}

void Measures::unused(TimeNs now, uint32_t servers, uint32_t slots) {
  const auto passed = static_cast<double>(now - unused_since_);
  unused_server_ns_ += passed * unused_servers_;
  unused_slot_ns_ += passed * unused_slots_;
  unused_since_ = now;
  unused_servers_ = servers;
  unused_slots_ = slots;
}

void Measures::prefix(uint64_t prompt_tokens, uint64_t pooled_tokens, uint64_t ideal_tokens) {
  prefix_tokens_ += prompt_tokens;
  pooled_tokens_ += pooled_tokens;
  ideal_tokens_ += ideal_tokens;
}

std::vector<Series> Measures::levels(size_t first, const std::vector<std::string>& names) const {
  std::vector<Series> out;
  const auto step = static_cast<double>(over_time_.step_ns());
  for (size_t i = 0; i < names.size(); ++i) {
    Series& series = out.emplace_back();
    series.name = names[i];
    for (const double sum : over_time_.sums(first + i))
      series.values.push_back(static_cast<float>(sum / step));
  }
  return out;
}

RunResult Measures::result(TimeNs last_arrival, TimeNs now) {
  RunResult out;
  unused(now, 0, 0);
  // A level that is still held is accounted for as it is told again.
  const auto tell_again = [now](Timeline& timeline, size_t quantity) {
    timeline.set_level(quantity, now, timeline.level(quantity));
  };
  for (size_t q = parked_; q < made_prompt_; ++q) tell_again(over_time_, q);
  for (const Tenant& t : tenants_)
    if (t.timed) tell_again(tenants_over_time_, t.waited);

  out.simulated_s = seconds(now);
  out.window_from_s = seconds(window_from());
  out.window_to_s = std::max(seconds(last_arrival), out.window_from_s);
  out.slo_ttft_s = seconds(options_.slo_ttft_ns);
  out.slo_itl_s = seconds(options_.slo_itl_ns);
  const double step = seconds(over_time_.step_ns());
  const auto first = static_cast<size_t>(out.window_from_s / step);
  const auto end = std::max(first + 1, static_cast<size_t>(out.window_to_s / step));
  const auto rate = [&](size_t quantity) {
    const std::vector<double>& sums = over_time_.sums(quantity);
    double sum = 0;
    for (size_t i = first; i < end && i < sums.size(); ++i) sum += sums[i];
    return sum / (static_cast<double>(end - first) * step);
  };
  out.output_tokens_per_s = rate(made_output_);
  out.tokens_per_s = rate(made_prompt_) + out.output_tokens_per_s;
  out.requests_per_s = rate(made_requests_);
  // Arrivals of one moment are no rate.
  if (const double window = out.window_to_s - out.window_from_s; window > 0) {
    out.offered_tokens_per_s = static_cast<double>(offered_tokens_) / window;
    out.offered_requests_per_s = static_cast<double>(offered_requests_) / window;
  }
  out.idle_while_waiting_s = unused_server_ns_ / kNsPerS;
  out.slots_while_waiting_s = unused_slot_ns_ / kNsPerS;
  if (all_.prompt_tokens != 0)
    out.hit_rate =
        static_cast<double>(all_.cached_tokens) / static_cast<double>(all_.prompt_tokens);
  if (prefix_tokens_ != 0) {
    const auto share = [&](uint64_t of) {
      return static_cast<double>(of) / static_cast<double>(prefix_tokens_);
    };
    out.pooled_hit_rate = share(pooled_tokens_);
    out.ideal_hit_rate = share(ideal_tokens_);
  }

  std::vector<std::string> band_names, server_names;
  for (const Group& band : bands_) band_names.push_back(band.name);
  for (const ServerResult& server : servers_) server_names.push_back(server.name);
  out.step_s = step;
  out.parked = levels(parked_, band_names);
  out.running = levels(running_, server_names);
  out.waiting = levels(waiting_, server_names);
  out.kv_used = levels(kv_used_, server_names);
  for (size_t i = 0; i < servers_.size(); ++i) {
    const auto mean = [&](const Series& series) {
      const double sum = std::accumulate(series.values.begin(), series.values.end(), 0.0);
      return out.simulated_s > 0 ? sum * step / out.simulated_s : 0;
    };
    servers_[i].mean_running = mean(out.running[i]);
    servers_[i].mean_kv_used = mean(out.kv_used[i]);
  }

  // Tenants by service. Who got least is not shown beyond the limit, but is not treated fairly either.
  std::vector<size_t> order(tenants_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return tenants_[a].group.service > tenants_[b].group.service;
  });
  const double tenant_step = seconds(tenants_over_time_.step_ns());
  std::vector<TenantService> services;
  for (const size_t i : order) {
    const Tenant& t = tenants_[i];
    if (!t.timed) continue;
    TenantService& s = services.emplace_back();
    s.weight = t.weight;
    s.served = tenants_over_time_.sums(t.served);
    s.asked = tenants_over_time_.sums(t.asked);
    s.waited = tenants_over_time_.sums(t.waited);
    for (double& w : s.waited) w /= tenant_step * kNsPerS;
    for (std::vector<double>* values : {&s.served, &s.asked, &s.waited})
      keep_window(*values, out, tenant_step);
    if (out.tenants.size() == kTenantsMax) continue;
    Series& series = out.service.emplace_back();
    series.name = t.group.name;
    double sum = 0;
    for (const double served : tenants_over_time_.sums(t.served))
      series.values.push_back(static_cast<float>(sum += served));
    out.tenants.push_back(t.group);
  }
  out.service_step_s = tenant_step;
  out.fairness = fairness_of(services, tenant_step);
  out.all = std::move(all_);
  out.bands = std::move(bands_);
  out.servers_used = std::move(servers_);
  return out;
}

}  // namespace sluice::simulate
