// What people read when pipeline.toml is well formed and still cannot be meant.
#include "tests/unit/config/mistakes.h"

namespace sluice::config {
namespace {

// clang-format off
constexpr Mistake kMistakes[] = {
    {"address_without_port", kBase,
     R"([admin]
address = "127.0.0.1"
)",
     R"(pipeline.toml:7:11: error: admin.address wants HOST:PORT, found "127.0.0.1"
    7 | address = "127.0.0.1"
      |           ^
      hint: the port is missing: HOST:PORT
)"},
    {"address_of_a_name", kBase,
     R"([admin]
address = "metrics.example.com:9090"
)",
     R"(pipeline.toml:7:11: error: admin.address wants HOST:PORT, found "metrics.example.com:9090"
    7 | address = "metrics.example.com:9090"
      |           ^
      hint: the host is an IPv4 or IPv6 address or localhost; names are not looked up
)"},
    {"address_with_scheme", kBase,
     R"([[pool.endpoints]]
name = "b"
address = "http://127.0.0.1:8102/v1"
)",
     R"(pipeline.toml:8:11: error: pool.endpoints.address wants HOST:PORT, found "http://127.0.0.1:8102/v1"
    8 | address = "http://127.0.0.1:8102/v1"
      |           ^
      hint: leave out the scheme and the path: HOST:PORT
)"},
    {"address_without_brackets", kBase,
     R"([admin]
address = "::1:9090"
)",
     R"(pipeline.toml:7:11: error: admin.address wants HOST:PORT, found "::1:9090"
    7 | address = "::1:9090"
      |           ^
      hint: put an IPv6 address in brackets: [::1]:8080
)"},
    {"address_everywhere", kBase,
     R"([admin]
address = ":9090"
)",
     R"(pipeline.toml:7:11: error: admin.address wants HOST:PORT, found ":9090"
    7 | address = ":9090"
      |           ^
      hint: for every local address write 0.0.0.0 or [::]
)"},
    {"address_taken", kBase,
     R"([admin]
address = "localhost:8080"
)",
     R"(pipeline.toml:7:11: error: listen.http listens on "127.0.0.1:8080" already
    7 | address = "localhost:8080"
      |           ^
      hint: give each its own port
)"},
    {"ext_proc_open", kBase,
     R"([listen.ext_proc]
address = "0.0.0.0:9002"
)",
     R"(pipeline.toml:7:11: error: "0.0.0.0:9002" is not loopback, and there is no tls
    7 | address = "0.0.0.0:9002"
      |           ^
      hint: add tls = { cert = ..., key = ... }, or insecure = true if the network is yours
)"},
    {"http_tls", kBase,
     R"([listen.http.tls]
cert = "a.crt"
)",
     R"(pipeline.toml:6:1: error: [listen.http.tls] lacks "key"
    6 | [listen.http.tls]
      | ^
      hint: tls needs cert and key; client_ca is optional
pipeline.toml:6:14: warning: listen.http.tls is not built yet; plain HTTP acts instead
    6 | [listen.http.tls]
      |              ^
)"},
    {"endpoint_without_address", kBase,
     R"([[pool.endpoints]]
name = "b"
)",
     R"(pipeline.toml:6:1: error: [[pool.endpoints]] lacks "address"
    6 | [[pool.endpoints]]
      | ^
      hint: such as address = "127.0.0.1:8101"
)"},
    {"endpoint_name_twice", kBase,
     R"([[pool.endpoints]]
name = "a"
address = "127.0.0.1:8102"
)",
     R"(pipeline.toml:7:8: error: two endpoints are named "a"
    7 | name = "a"
      |        ^
      hint: the other one is on line 4
)"},
    {"endpoint_address_twice", kBase,
     R"([[pool.endpoints]]
name = "b"
address = "localhost:8101"
)",
     R"(pipeline.toml:8:11: error: two endpoints have the address "localhost:8101"
    8 | address = "localhost:8101"
      |           ^
      hint: the other one is on line 5
)"},
    {"endpoint_is_sluice", kBase,
     R"([[pool.endpoints]]
name = "b"
address = "127.0.0.1:8080"
)",
     R"(pipeline.toml:8:11: error: "127.0.0.1:8080" is Sluice itself
    8 | address = "127.0.0.1:8080"
      |           ^
      hint: an endpoint is a model server; listen elsewhere, or correct the address
)"},
    {"endpoint_bad_name", kBase,
     R"([[pool.endpoints]]
name = "gpu 0\u001b[31m"
address = "127.0.0.1:8102"
)",
     R"(pipeline.toml:7:8: error: "gpu 0�[31m" cannot be the name of an endpoint
    7 | name = "gpu 0\u001b[31m"
      |        ^
      hint: visible ASCII without spaces, 1 to 256 bytes
)"},
    {"endpoint_bad_pattern", kBase,
     R"([[pool.endpoints]]
name = "b"
address = "127.0.0.1:8102"
models = ["*-8b"]
)",
     R"(pipeline.toml:9:11: error: pool.endpoints.models wants names of models, found "*-8b"
    9 | models = ["*-8b"]
      |           ^
      hint: an exact name, or a beginning and one '*' at the end: "llama-*"
)"},
    {"endpoint_bad_label", kBase,
     R"([[pool.endpoints]]
name = "b"
address = "127.0.0.1:8102"
labels = { rack = 7 }
)",
     R"(pipeline.toml:9:19: error: pool.endpoints.labels."rack" wants text in quotes, found the number 7
    9 | labels = { rack = 7 }
      |                   ^
)"},
    {"stale_before_next_scrape", kBase,
     R"([pool.scrape]
interval = "2s"
)",
     R"(pipeline.toml:7:12: error: pool.scrape.stale_after is shorter than pool.scrape.interval
    7 | interval = "2s"
      |            ^
      hint: metrics would be stale before the next scrape; twenty intervals are usual
)"},
    {"band_twice", kBase,
     R"([[band]]
name = "default"
[[band]]
name = "default"
priority = 1
)",
     R"(pipeline.toml:9:8: error: two bands are named "default"
    9 | name = "default"
      |        ^
      hint: the other one is on line 7
)"},
    {"band_priorities_equal", kBase,
     R"([[band]]
name = "default"
[[band]]
name = "batch"
priority = 0
)",
     R"(pipeline.toml:10:12: error: bands "default" and "batch" have the same priority, 0
   10 | priority = 0
      |            ^
      hint: every band needs its own; it is 0 where none is given
)"},
    {"band_ceilings_fall", kBase,
     R"([[band]]
name = "high"
priority = 1
ceiling = 0.5
[[band]]
name = "default"
)",
     R"(pipeline.toml:9:11: error: band "high" has a lower ceiling than band "default" below it: 0.5 < 1
    9 | ceiling = 0.5
      |           ^
      hint: ceilings never fall as the priority rises; a band without one has 1
)"},
    {"ceiling_of_nothing", kBase,
     R"([pool.capacity]
mode = "fixed"
max_in_flight = 0
[[band]]
name = "default"
ceiling = 0.5
)",
     R"(pipeline.toml:11:11: warning: the ceiling of band "default" holds nothing back: some endpoints have no limit
   11 | ceiling = 0.5
      |           ^
      hint: give [pool.capacity] mode = "auto", max_in_flight or max_in_flight_tokens
)"},
    {"no_default_band", kBase,
     R"([[band]]
name = "gold"
)",
     R"(pipeline.toml:6:1: error: flow.default_band is missing, and no band is named "default"
    6 | [[band]]
      | ^
      hint: requests that name no objective go there; say which: default_band = "gold"
)"},
    {"unknown_band", kBase,
     R"([[objective]]
name = "chat"
band = "critcal"
)",
     R"(pipeline.toml:8:8: error: there is no band "critcal"
    8 | band = "critcal"
      |        ^
      hint: did you mean "critical"?
)"},
    {"unknown_band_unlike_any", kBase,
     R"([[objective]]
name = "chat"
band = "vip"
)",
     R"(pipeline.toml:8:8: error: there is no band "vip"
    8 | band = "vip"
      |        ^
      hint: the bands are "critical", "default" and "sheddable"
)"},
    {"untrusted_header", kBase,
     R"([flow]
key = ["header:X-Team"]
)",
     R"(pipeline.toml:7:8: error: nobody is trusted to send "x-team", which is in flow.key
    7 | key = ["header:X-Team"]
      |        ^
      hint: add a [[trust]] with from = [...] and headers = ["x-team"]
)"},
    {"flow_component_unknown", kBase,
     R"([flow]
key = ["modle", "x-team"]
)",
     R"(pipeline.toml:7:8: error: "modle" is no component of a flow key
    7 | key = ["modle", "x-team"]
      |        ^
      hint: did you mean "model"?
pipeline.toml:7:17: error: "x-team" is no component of a flow key
    7 | key = ["modle", "x-team"]
      |                 ^
      hint: did you mean "header:x-team"?
)"},
    {"flow_component_twice", kBase,
     R"([flow]
key = ["model", "model"]
)",
     R"(pipeline.toml:7:17: error: "model" stands twice in flow.key
    7 | key = ["model", "model"]
      |                 ^
)"},
    {"trust_bad_network", kBase,
     R"([[trust]]
from = ["10.0.0.0/33", "10.1.0.0/8", "corp"]
)",
     R"(pipeline.toml:7:9: error: "10.0.0.0/33" is no network, "any" or "mtls:SAN"
    7 | from = ["10.0.0.0/33", "10.1.0.0/8", "corp"]
      |         ^
      hint: the prefix length is 0 to 32
pipeline.toml:7:24: error: "10.1.0.0/8" is no network, "any" or "mtls:SAN"
    7 | from = ["10.0.0.0/33", "10.1.0.0/8", "corp"]
      |                        ^
      hint: bits are set behind the prefix; the network is 10.0.0.0/8
pipeline.toml:7:38: error: "corp" is no network, "any" or "mtls:SAN"
    7 | from = ["10.0.0.0/33", "10.1.0.0/8", "corp"]
      |                                      ^
      hint: write a network such as 10.0.0.0/8 or fd00::/8, or one address
)"},
    {"trust_bad_header", kBase,
     R"([[trust]]
headers = ["x team"]
)",
     R"(pipeline.toml:7:12: error: "x team" cannot be the name of a header
    7 | headers = ["x team"]
      |            ^
      hint: letters, digits and '-', 1 to 128 bytes
)"},
    {"tenant_not_in_key", kBase,
     R"([[tenant]]
match = { "header:x-team" = "gold" }
)",
     R"(pipeline.toml:7:11: error: "header:x-team" is not in flow.key
    7 | match = { "header:x-team" = "gold" }
      |           ^
      hint: flow.key is "model"
)"},
    {"tenant_two_components", kBase,
     R"([[tenant]]
match = { model = "a", objective = "b" }
)",
     R"(pipeline.toml:7:9: error: tenant.match names 2 components, not one
    7 | match = { model = "a", objective = "b" }
      |         ^
      hint: one component of flow.key and its value; a [[tenant]] for each
)"},
    {"tenant_twice", kBase,
     R"([[tenant]]
match = { model = "m" }
[[tenant]]
match = { model = "m" }
)",
     R"(pipeline.toml:9:9: error: two tenants match "m"
    9 | match = { model = "m" }
      |         ^
      hint: the other one is on line 7
)"},
    {"tenant_weight", kBase,
     R"([[tenant]]
match = { model = "m" }
weight = 0
)",
     R"(pipeline.toml:8:10: error: tenant.weight wants a number from 0.001 to 1000, found the number 0
    8 | weight = 0
      |          ^
)"},
    {"model_weights_sum_0", kBase,
     R"([[model]]
name = "m"
targets = [ { model = "m1", weight = 0 }, { model = "m2", weight = 0 } ]
)",
     R"(pipeline.toml:8:11: error: the weights of the targets of "m" add up to 0
    8 | targets = [ { model = "m1", weight = 0 }, { model = "m2", weight = 0 } ]
      |           ^
      hint: give at least one of them a weight above 0
)"},
    {"policy_without_use", kBase,
     R"([[band]]
name = "default"
fairness = { params = { quantum = 512 } }
)",
     R"(pipeline.toml:8:12: error: [band.fairness] lacks "use"
    8 | fairness = { params = { quantum = 512 } }
      |            ^
      hint: such as use = "fcfs"
)"},
    {"policy_bad_name", kBase,
     R"([[scoring]]
use = "a/b/c"
)",
     R"(pipeline.toml:7:7: error: "a/b/c" cannot be a policy
    7 | use = "a/b/c"
      |       ^
      hint: NAME or PACKAGE/NAME; the name has a-z, 0-9 and '-'
)"},
    {"policy_bad_sha256", kBase,
     R"([[scoring]]
use = "queue-depth"
sha256 = "12ab"
)",
     R"(pipeline.toml:8:10: error: "12ab" is no SHA-256 of a file
    8 | sha256 = "12ab"
      |          ^
      hint: 64 hex digits, as sha256sum prints them; these are 4 characters
)"},
    // Each policy once, wherever it acts: the bands' defaults at the table of the first band that
    // leaves them out.
    {"policies_not_pinned", kBase,
     R"([plugins]
require_sha256 = true
[[band]]
name = "default"
eviction = { use = "lowest-band-first", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
[[band]]
name = "b"
priority = 1
eviction = { use = "lowest-band-first", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
ordering = { use = "sluice/fcfs" }
[[scoring]]
use = "queue-depth"
sha256 = 7
)",
     R"(pipeline.toml:11:1: error: the fairness policy "sluice/round-robin" has no sha256, and plugins.require_sha256 is true
   11 | [[band]]
      | ^
      hint: name it with use and sha256 wherever it acts, by default too; take the hash from whoever made the file, or by sha256sum from one that you trust
pipeline.toml:15:20: error: the ordering policy "sluice/fcfs" has no sha256, and plugins.require_sha256 is true
   15 | ordering = { use = "sluice/fcfs" }
      |                    ^
      hint: name it with use and sha256 wherever it acts, by default too; take the hash from whoever made the file, or by sha256sum from one that you trust
pipeline.toml:18:10: error: scoring.sha256 wants text in quotes, found the number 7
   18 | sha256 = 7
      |          ^
)"},
    {"default_policies_not_pinned", kBase,
     R"([plugins]
require_sha256 = true
[[scoring]]
use = "in-flight"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
)",
     R"(pipeline.toml:1:1: error: the ordering policy "sluice/fcfs" has no sha256, and plugins.require_sha256 is true
    1 | schema = 1
      | ^
      hint: name it with use and sha256 wherever it acts, by default too; take the hash from whoever made the file, or by sha256sum from one that you trust
pipeline.toml:1:1: error: the fairness policy "sluice/round-robin" has no sha256, and plugins.require_sha256 is true
    1 | schema = 1
      | ^
      hint: name it with use and sha256 wherever it acts, by default too; take the hash from whoever made the file, or by sha256sum from one that you trust
pipeline.toml:1:1: error: the eviction policy "sluice/lowest-band-first" has no sha256, and plugins.require_sha256 is true
    1 | schema = 1
      | ^
      hint: name it with use and sha256 wherever it acts, by default too; take the hash from whoever made the file, or by sha256sum from one that you trust
)"},
    {"policy_bad_param", kBase,
     R"([[scoring]]
use = "queue-depth"
params = { steps = [1, 2] }
)",
     R"(pipeline.toml:8:20: error: scoring.params.steps wants true or false, a finite number or text, found an array
    8 | params = { steps = [1, 2] }
      |                    ^
)"},
    {"variable_not_set", kBase,
     R"([limits]
max_requests = "${SLUICE_TEST_UNSET}"
)",
     R"(pipeline.toml:7:16: error: limits.max_requests cannot be filled in: the variable "SLUICE_TEST_UNSET" is not set
    7 | max_requests = "${SLUICE_TEST_UNSET}"
      |                ^
      hint: write ${NAME} or ${NAME:-default}; $${ stands for a plain ${
)"},
    {"variable_with_bad_default", kBase,
     R"([limits]
max_requests = "${SLUICE_TEST_UNSET:-many}"
)",
     R"(pipeline.toml:7:16: error: limits.max_requests wants a whole number from 0 up, found "many"
    7 | max_requests = "${SLUICE_TEST_UNSET:-many}"
      |                ^
)"},
    {"variable_not_closed", kBase,
     R"([limits]
max_requests = "${SLUICE_TEST_UNSET"
)",
     R"(pipeline.toml:7:16: error: limits.max_requests cannot be filled in: a ${ has no closing }
    7 | max_requests = "${SLUICE_TEST_UNSET"
      |                ^
      hint: write ${NAME} or ${NAME:-default}; $${ stands for a plain ${
)"},
    {"path_empty", kBase,
     R"([log]
decisions = ""
)",
     R"(pipeline.toml:7:13: error: log.decisions wants a path, found ""
    7 | decisions = ""
      |             ^
)"},
    {"not_built_yet", kBase,
     R"([plugins]
watch = true
[[band]]
name = "default"
fairness = { use = "vtc", mode = "shadow" }
)",
     R"(pipeline.toml:7:1: warning: plugins.watch is not built yet; a reload (SIGHUP or POST /reload) acts instead
    7 | watch = true
      | ^
pipeline.toml:10:27: warning: mode "shadow" is not built yet; the built-in policy of the slot acts instead
   10 | fairness = { use = "vtc", mode = "shadow" }
      |                           ^
)"},
    {"for_gateways_only", kBase,
     R"([[trust]]
from = ["mtls:gateway"]
[picker]
max_endpoints = 2
)",
     R"(pipeline.toml:7:9: warning: "mtls:gateway" trusts nobody: no client shows a certificate
    7 | from = ["mtls:gateway"]
      |         ^
      hint: listen.ext_proc asks for one if its tls has client_ca
pipeline.toml:9:17: warning: nobody is given a list: one endpoint is picked
    9 | max_endpoints = 2
      |                 ^
      hint: lists are for gateways that fall back by themselves, on listen.ext_proc
)"},
    {"gateways_with_certificates", kBase,
     R"([listen.ext_proc]
address = "0.0.0.0:9002"
tls = { cert = "c.pem", key = "k.pem", client_ca = "ca.pem" }
[[trust]]
from = ["mtls:gateway"]
[picker]
max_endpoints = 2
)",
     ""},
    {"capacity_out_of_range", kBase,
     R"([pool.capacity]
mode = "learn"
gateways = 0
max_in_flight_tokens = -1
)",
     R"(pipeline.toml:7:8: error: pool.capacity.mode is one of "auto" and "fixed", not "learn"
    7 | mode = "learn"
      |        ^
pipeline.toml:8:12: error: pool.capacity.gateways wants a whole number from 1 to 1000, found the number 0
    8 | gateways = 0
      |            ^
pipeline.toml:9:24: error: pool.capacity.max_in_flight_tokens wants a whole number from 0 up, found the number -1
    9 | max_in_flight_tokens = -1
      |                        ^
)"},
    {"all_at_once", kBase,
     R"([limits]
max_requests = -1
max_byte = 5
[drain]
grace = "soon"
)",
     R"(pipeline.toml:7:16: error: limits.max_requests wants a whole number from 0 up, found the number -1
    7 | max_requests = -1
      |                ^
pipeline.toml:8:1: error: unknown key "max_byte" in [limits]
    8 | max_byte = 5
      | ^
      hint: did you mean "max_bytes"?
pipeline.toml:10:9: error: drain.grace wants a duration such as "250ms" or "5m", found "soon"
   10 | grace = "soon"
      |         ^
      hint: the units are ns, us, ms, s, m and h
)"},
};
// clang-format on

TEST(Messages, NameWhatCannotBeMeant) { expect_answers(kMistakes); }

}  // namespace
}  // namespace sluice::config
