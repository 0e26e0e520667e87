// The pictures of report.html, each a <section> of its own.
//
// What can be laid over each other (distributions) has a line a run; what cannot (queues, servers,
// tenants) stands side by side, a panel a run, on the same scale.
// Threads: any. Limits: kRunsMax runs, kBandsMax bands, kTenantLines tenants, kServerRows servers;
// what is beyond is summed up, or left out and said so.
#pragma once

#include <string>
#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

inline constexpr size_t kRunsMax = 8;
inline constexpr size_t kBandsMax = 6;     // panels and layers; further ones are left out
inline constexpr size_t kTenantLines = 8;  // those with most service
inline constexpr size_t kServerRows = 32;
inline constexpr size_t kLabelChars = 40;  // of a run, a band or a tenant

using Runs = std::vector<RunResult>;

std::string latency_charts(const Runs& runs);  // CDFs of TTFT and of wait, by band
std::string queue_charts(const Runs& runs);    // where requests waited, over time
std::string server_charts(const Runs& runs);   // what ran and waited at each server, over time
std::string service_charts(const Runs& runs);  // accumulated service, by tenant
std::string regret_charts(const Runs& runs);   // CDFs of regret

// The runs' colours and names.
std::string run_legend(const Runs& runs);
// A colour and a name, as in a legend.
std::string legend_item(const std::string& css, const std::string& name);
// What stands above a panel of one run.
std::string run_caption(const RunResult& run);
// A headed part of the page.
std::string section(const std::string& id, const std::string& heading, const std::string& about,
                    const std::string& content);
// A picture and what stands above it; both are markup.
std::string figure(const std::string& caption, const std::string& picture);
// The end of everything that has a series, in seconds.
double series_end_s(const Runs& runs);

}  // namespace sluice::simulate
