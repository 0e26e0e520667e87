// Every metric of /metrics: its name, its type, and what it says. docs/metrics.md lists the same,
// and a test compares.
//
// Names never change their meaning once released; new ones are added at the end of their group.
#pragma once

#include <prometheus/metric_type.h>

namespace sluice::metrics {

struct Metric {
  const char* name;
  prometheus::MetricType type;
  const char* help;
};

inline constexpr auto kCounter = prometheus::MetricType::Counter;
inline constexpr auto kGauge = prometheus::MetricType::Gauge;
inline constexpr auto kHistogram = prometheus::MetricType::Histogram;

// The host.
inline constexpr Metric kBuildInfo{"sluice_build_info", kGauge,
                                   "Always 1; the version is a label."};
inline constexpr Metric kReady{"sluice_ready", kGauge, "1 while /readyz says ready."};
inline constexpr Metric kUptime{"sluice_uptime_seconds", kGauge, "Time since the host started."};
inline constexpr Metric kReloads{"sluice_reloads_total", kCounter,
                                 "Reloads of pipeline.toml by result."};
inline constexpr Metric kHttpConnections{"sluice_http_connections", kGauge,
                                         "Clients' connections to the embedded HTTP proxy."};
inline constexpr Metric kExtProcStreams{"sluice_ext_proc_streams", kGauge,
                                        "Requests that a gateway has open at the ext_proc server."};

// Requests, as clients saw them.
inline constexpr Metric kRequests{"sluice_requests_total", kCounter,
                                  "Requests answered, by outcome and status."};
inline constexpr Metric kModelRequests{
    "sluice_model_requests_total", kCounter,
    "Requests answered, by the model name that the client asked for."};
inline constexpr Metric kQueueSeconds{"sluice_queue_seconds", kHistogram,
                                      "Time that requests were parked."};
inline constexpr Metric kFirstByteSeconds{
    "sluice_ttfb_seconds", kHistogram,
    "From a request's last byte to its answer's first, parking included."};
inline constexpr Metric kDurationSeconds{"sluice_duration_seconds", kHistogram,
                                         "From a request's first byte to its answer's last."};
inline constexpr Metric kTokens{"sluice_tokens_total", kCounter,
                                "Tokens of answered requests; cached ones are part of prompt."};
inline constexpr Metric kModelTokens{
    "sluice_model_tokens_total", kCounter,
    "Tokens of answered requests, by the model name that the client asked for."};
inline constexpr Metric kBodyBytes{"sluice_body_bytes_total", kCounter,
                                   "Bytes of bodies, in from clients and out to them."};

// The engine, by band.
inline constexpr Metric kSubmitted{"sluice_submitted_total", kCounter,
                                   "Requests that the engine took in."};
inline constexpr Metric kEnded{"sluice_ended_total", kCounter,
                               "Requests that the engine saw end, by outcome."};
inline constexpr Metric kDispatches{"sluice_dispatches_total", kCounter,
                                    "Dispatches to endpoints; a requeued request counts again."};
inline constexpr Metric kRequeues{"sluice_requeues_total", kCounter,
                                  "Requests parked again after a dispatch."};
inline constexpr Metric kServedCost{"sluice_served_cost_total", kCounter, "Cost units served."};
inline constexpr Metric kParked{"sluice_parked_requests", kGauge, "Requests that wait."};
inline constexpr Metric kParkedBytes{"sluice_parked_bytes", kGauge,
                                     "Bytes of the bodies of requests that wait."};
inline constexpr Metric kParkedCost{"sluice_parked_cost", kGauge,
                                    "Estimated cost units of requests that wait."};
inline constexpr Metric kInFlight{"sluice_in_flight_requests", kGauge, "Requests at endpoints."};
inline constexpr Metric kInFlightBytes{"sluice_in_flight_bytes", kGauge,
                                       "Bytes of the bodies of requests at endpoints."};
inline constexpr Metric kInFlightCost{"sluice_in_flight_cost", kGauge,
                                      "Reserved cost units of requests at endpoints."};
inline constexpr Metric kBandPriority{"sluice_band_priority", kGauge,
                                      "Priority of the band; higher goes first."};
inline constexpr Metric kFlows{"sluice_flows", kGauge, "Flows that are remembered."};
inline constexpr Metric kWaitingFlows{"sluice_waiting_flows", kGauge,
                                      "Flows with something parked."};
inline constexpr Metric kDispatchRate{"sluice_dispatches_per_second", kGauge,
                                      "Recent rate of dispatch; Retry-After is reckoned from it."};
inline constexpr Metric kOldestWait{
    "sluice_oldest_wait_seconds", kGauge,
    "How long the oldest head of a flow has waited; 0 if none does."};
inline constexpr Metric kHeldBack{"sluice_held_back_total", kCounter,
                                  "Times that work was held back although endpoints had room, by "
                                  "reason: hold (when_blocked), idle "
                                  "(its fairness policy), ceiling, size (an endpoint is emptied "
                                  "for it), better (wait_for_better)."};

// Flows: those with most at stake, the rest summed as "(other)".
inline constexpr Metric kFlowParked{"sluice_flow_parked_requests", kGauge,
                                    "Requests of the flow that wait."};
inline constexpr Metric kFlowInFlight{"sluice_flow_in_flight_requests", kGauge,
                                      "Requests of the flow at endpoints."};
inline constexpr Metric kFlowDispatches{"sluice_flow_dispatches_total", kCounter,
                                        "Dispatches of the flow."};
inline constexpr Metric kFlowServedCost{"sluice_flow_served_cost_total", kCounter,
                                        "Cost units that the flow was served."};
inline constexpr Metric kFlowOldestWait{"sluice_flow_oldest_wait_seconds", kGauge,
                                        "How long the flow's head has waited; 0 if nothing does."};

// Endpoints.
inline constexpr Metric kEndpointUp{"sluice_endpoint_up", kGauge,
                                    "1 if requests may be sent there."};
inline constexpr Metric kEndpointLimit{"sluice_endpoint_limit", kGauge,
                                       "Requests in flight at most; +Inf = no limit."};
inline constexpr Metric kEndpointLimitTokens{"sluice_endpoint_limit_tokens", kGauge,
                                             "Tokens in flight at most; +Inf = no limit."};
inline constexpr Metric kEndpointInFlightTokens{
    "sluice_endpoint_in_flight_tokens", kGauge,
    "Tokens of prompts and expected outputs that this host has there."};
inline constexpr Metric kEndpointDoubted{
    "sluice_endpoint_metrics_doubted", kGauge,
    "1 if its metrics do not count what this host has there: no room is learnt from them."};
inline constexpr Metric kEndpointEarmarked{"sluice_endpoint_earmarked", kGauge,
                                           "1 while it is being emptied for a large request."};
inline constexpr Metric kEndpointInFlight{"sluice_endpoint_in_flight_requests", kGauge,
                                          "Requests that this host has there."};
inline constexpr Metric kEndpointInFlightCost{"sluice_endpoint_in_flight_cost", kGauge,
                                              "Cost units reserved there."};
inline constexpr Metric kEndpointDispatches{"sluice_endpoint_dispatches_total", kCounter,
                                            "Requests sent there."};
inline constexpr Metric kEndpointPaused{"sluice_endpoint_paused", kGauge,
                                        "1 while it is left alone because it answered 429 or 503."};
inline constexpr Metric kEndpointWaiting{"sluice_endpoint_waiting_requests", kGauge,
                                         "Its own queue, as scraped."};
inline constexpr Metric kEndpointRunning{"sluice_endpoint_running_requests", kGauge,
                                         "Its batch, as scraped."};
inline constexpr Metric kEndpointKvUsed{"sluice_endpoint_kv_used_ratio", kGauge,
                                        "Its KV cache in use, 0 to 1, as scraped."};
inline constexpr Metric kEndpointMetricsAge{"sluice_endpoint_metrics_age_seconds", kGauge,
                                            "Age of what was scraped; +Inf = never."};
inline constexpr Metric kEndpointMetricsStale{
    "sluice_endpoint_metrics_stale", kGauge,
    "1 if it was asked in vain, and nothing has been heard for stale_after."};
inline constexpr Metric kEndpointEjections{"sluice_endpoint_ejections_total", kCounter,
                                           "How often failures in a row took it out."};
inline constexpr Metric kEndpointScrapes{"sluice_endpoint_scrapes_total", kCounter,
                                         "Scrapes by result."};
inline constexpr Metric kEndpointMalformed{"sluice_endpoint_malformed_lines_total", kCounter,
                                           "Lines of its metrics page that could not be read."};

// The pool.
inline constexpr Metric kPoolEndpoints{"sluice_pool_endpoints", kGauge, "Endpoints by health."};
inline constexpr Metric kPoolClasses{"sluice_pool_classes", kGauge, "Eligibility classes."};
inline constexpr Metric kPoolModelsLeftOut{"sluice_pool_models_left_out_total", kCounter,
                                           "Model names for which there was no room."};
inline constexpr Metric kPoolEndpointsLeftOut{"sluice_pool_endpoints_left_out", kGauge,
                                              "Listed endpoints for which there is no slot."};
inline constexpr Metric kFileReads{"sluice_endpoints_file_reads_total", kCounter,
                                   "Reads of the endpoints_file by result."};

// Policies.
inline constexpr Metric kPolicyFaults{"sluice_policy_faults_total", kCounter,
                                      "Illegal answers of the policy."};
inline constexpr Metric kPolicyQuarantined{"sluice_policy_quarantined", kGauge,
                                           "1 while the built-in policy stands in for it."};

}  // namespace sluice::metrics
