// What people read when pipeline.toml is not TOML, or its keys and values have the wrong form.
#include "tests/unit/config/mistakes.h"

namespace sluice::config {
namespace {

// clang-format off
constexpr Mistake kMistakes[] = {
    {"empty_file", "",
     R"()",
     R"(pipeline.toml:1:1: error: the file does not say which schema it follows
      hint: begin the file with schema = 1
pipeline.toml:1:1: error: no listener: nobody could send a request
      hint: add [listen.http], or [listen.ext_proc] for a gateway in front
pipeline.toml:1:1: error: no endpoints: nobody could answer a request
      hint: add [[pool.endpoints]] with name and address, or pool.endpoints_file
)"},
    {"syntax_unquoted_text", "",
     R"(schema = 1
[log]
level = info
)",
     R"(pipeline.toml:3:12: error: not valid TOML: floating-point: expected value-terminator, saw 'o'
    3 | level = info
      |            ^
      hint: text needs quotes: level = "info"
)"},
    {"syntax_unquoted_duration", "",
     R"(schema = 1
[drain]
	grace = 10ms # soon
)",
     R"(pipeline.toml:3:12: error: not valid TOML: decimal integer: expected digit, saw 'm'
    3 | 	grace = 10ms # soon
      | 	          ^
      hint: text needs quotes: grace = "10ms"
)"},
    {"syntax_unclosed_header", "",
     R"(schema = 1
[listen.http
address = "127.0.0.1:8080"
)",
     R"(pipeline.toml:2:13: error: not valid TOML: table header: expected ']', saw '\n'
    2 | [listen.http
      |             ^
)"},
    {"syntax_two_headers", "",
     R"(schema = 1
[log]
[log]
)",
     R"(pipeline.toml:3:1: error: not valid TOML: table header: cannot redefine existing table 'log'
    3 | [log]
      | ^
      hint: a key or [table] may stand once; merge the two
)"},
    {"syntax_table_and_array", "",
     R"([[band]]
name = "a"
[band]
name = "b"
)",
     R"(pipeline.toml:3:1: error: not valid TOML: table header: cannot redefine existing array 'band' as table
    3 | [band]
      | ^
      hint: tables that repeat are written [[NAME]] every time
)"},
    {"syntax_inline_table_over_lines", "",
     R"(pool = { endpoints = [],
  scrape = {} }
)",
     R"(pipeline.toml:1:25: error: not valid TOML: inline table: expected key or closing '}', saw '\n'
    1 | pool = { endpoints = [],
      |                         ^
      hint: an inline table { ... } stands on one line
)"},
    {"syntax_duplicate_key", "",
     R"(schema = 1
schema = 1
)",
     R"(pipeline.toml:2:10: error: not valid TOML: key-value pair: cannot redefine existing integer 'schema'
    2 | schema = 1
      |          ^
      hint: a key or [table] may stand once; merge the two
)"},
    {"no_schema", "",
     R"([listen.http]
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:1"
)",
     R"(pipeline.toml:1:1: error: the file does not say which schema it follows
    1 | [listen.http]
      | ^
      hint: begin the file with schema = 1
)"},
    {"schema_of_the_future", "",
     R"(schema = 2
[listen.http]
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:1"
)",
     R"(pipeline.toml:1:10: error: schema wants the number 1, found the number 2
    1 | schema = 2
      |          ^
      hint: this Sluice knows schema 1
)"},
    {"schema_in_words", "",
     R"(schema = "one"
[listen.http]
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:1"
)",
     R"(pipeline.toml:1:10: error: schema wants the number 1, found "one"
    1 | schema = "one"
      |          ^
      hint: this Sluice knows schema 1
)"},
    {"only_parts_of_the_pool", "",
     R"(schema = 1
[listen.http]
[pool.scrape]
)",
     R"(pipeline.toml:3:1: error: no endpoints: nobody could answer a request
    3 | [pool.scrape]
      | ^
      hint: add [[pool.endpoints]] with name and address, or pool.endpoints_file
)"},
    {"drain_ends_before_its_grace", kBase,
     R"([drain]
grace = "30s"
deadline = "10s"
)",
     R"(pipeline.toml:7:9: error: drain.grace (30000ms) is longer than drain.deadline (10000ms)
    7 | grace = "30s"
      |         ^
      hint: both count from the signal: everything would be cut while still admitted
)"},
    {"drain_without_deadline", kBase,
     R"([drain]
grace = "30s"
deadline = "0s"
)",
     ""},
    {"no_such_plugin_directory", kBase,
     R"([plugins]
directories = ["/nonexistent/plugins"]
)",
     R"(pipeline.toml:7:16: warning: there is no plugin directory "/nonexistent/plugins"
    7 | directories = ["/nonexistent/plugins"]
      |                ^
      hint: it is looked for again at each reload
)"},
    {"only_ext_proc", "",
     R"(schema = 1
[listen.ext_proc]
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:1"
)",
     ""},
    {"no_endpoints", "",
     R"(schema = 1
[listen.http]
[pool]
)",
     R"(pipeline.toml:3:1: error: no endpoints: nobody could answer a request
    3 | [pool]
      | ^
      hint: add [[pool.endpoints]] with name and address, or pool.endpoints_file
)"},
    {"unknown_table", kBase,
     R"([schedulr]
)",
     R"(pipeline.toml:6:2: error: unknown key "schedulr"
    6 | [schedulr]
      |  ^
      hint: known here: "schema", "listen", "admin", "plugins", "pool", "upstream", "band", "flow", "trust", "objective", "model", "tenant", "scoring", "picker", "usage", "cost", "log", "limits" and "drain"
)"},
    {"unknown_key", kBase,
     R"([[band]]
name = "default"
orderin = { use = "fcfs" }
)",
     R"(pipeline.toml:8:1: error: unknown key "orderin" in [[band]]
    8 | orderin = { use = "fcfs" }
      | ^
      hint: did you mean "ordering"?
)"},
    {"unknown_key_unlike_any", kBase,
     R"([drain]
patience = "5s"
)",
     R"(pipeline.toml:7:1: error: unknown key "patience" in [drain]
    7 | patience = "5s"
      | ^
      hint: known here: "grace" and "deadline"
)"},
    {"wrong_type_number", kBase,
     R"([limits]
max_requests = "lots"
)",
     R"(pipeline.toml:7:16: error: limits.max_requests wants a whole number from 0 up, found "lots"
    7 | max_requests = "lots"
      |                ^
)"},
    {"wrong_type_boolean", kBase,
     R"([plugins]
require_sha256 = 1
)",
     R"(pipeline.toml:7:18: error: plugins.require_sha256 wants true or false, found the number 1
    7 | require_sha256 = 1
      |                  ^
)"},
    {"wrong_type_text", kBase,
     R"([log]
level = 3
)",
     R"(pipeline.toml:7:9: error: log.level wants text in quotes, found the number 3
    7 | level = 3
      |         ^
)"},
    {"wrong_type_table", kBase,
     R"([[band]]
name = "default"
ordering = "fcfs"
)",
     R"(pipeline.toml:8:12: error: band.ordering wants a table, found "fcfs"
    8 | ordering = "fcfs"
      |            ^
      hint: write ordering = { use = "fcfs" }
)"},
    {"wrong_type_array", kBase,
     R"([flow]
key = "model"
)",
     R"(pipeline.toml:7:7: error: flow.key wants an array of strings, found "model"
    7 | key = "model"
      |       ^
      hint: write key = ["model"]
)"},
    {"wrong_type_element", kBase,
     R"([flow]
key = ["model", 1979-05-27]
)",
     R"(pipeline.toml:7:17: error: flow.key wants strings only, found a date or time
    7 | key = ["model", 1979-05-27]
      |                 ^
)"},
    {"table_that_repeats_written_once", kBase,
     R"([band]
name = "default"
)",
     R"(pipeline.toml:6:1: error: band wants an array of tables, found a table
    6 | [band]
      | ^
      hint: each one is written [[band]], not [band]
)"},
    {"table_that_stands_once_written_twice", kBase,
     R"([[flow]]
max_flows = 1
)",
     R"(pipeline.toml:6:1: error: flow wants a table, found an array
    6 | [[flow]]
      | ^
      hint: it stands once: [flow], not [[flow]]
)"},
    {"fraction_for_whole", kBase,
     R"([upstream]
retries = 1.5
)",
     R"(pipeline.toml:7:11: error: upstream.retries wants a whole number from 0 to 8, found the number 1.5
    7 | retries = 1.5
      |           ^
)"},
    {"out_of_range", kBase,
     R"([upstream]
retries = -1
)",
     R"(pipeline.toml:7:11: error: upstream.retries wants a whole number from 0 to 8, found the number -1
    7 | retries = -1
      |           ^
)"},
    {"not_a_number", kBase,
     R"([cost]
output = nan
)",
     R"(pipeline.toml:7:10: error: cost.output wants a number from 0 to 1000000, found the number nan
    7 | output = nan
      |          ^
)"},
    {"duration_without_unit", kBase,
     R"([drain]
grace = 5
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found the number 5
    7 | grace = 5
      |         ^
      hint: a number needs a unit: ns, us, ms, s, m or h
)"},
    {"duration_unknown_unit", kBase,
     R"([drain]
grace = "5 parsecs"
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found "5 parsecs"
    7 | grace = "5 parsecs"
      |         ^
      hint: the units are ns, us, ms, s, m and h
)"},
    {"duration_negative", kBase,
     R"([drain]
grace = "-5s"
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found "-5s"
    7 | grace = "-5s"
      |         ^
      hint: it cannot be negative
)"},
    {"duration_overflow", kBase,
     R"([drain]
grace = "99999999h"
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found "99999999h"
    7 | grace = "99999999h"
      |         ^
      hint: at most 87600h; 0 stands for no limit
)"},
    {"duration_in_parts", kBase,
     R"([drain]
grace = "1m30s"
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found "1m30s"
    7 | grace = "1m30s"
      |         ^
      hint: write one number and one unit
)"},
    {"duration_fraction", kBase,
     R"([drain]
grace = "1.5s"
)",
     R"(pipeline.toml:7:9: error: drain.grace wants a duration such as "250ms" or "5m", found "1.5s"
    7 | grace = "1.5s"
      |         ^
      hint: write a whole number of a smaller unit
)"},
    {"bytes_unknown_unit", kBase,
     R"([limits]
max_bytes = "4G"
)",
     R"(pipeline.toml:7:13: error: limits.max_bytes wants a size such as "64KiB" or "1GiB", found "4G"
    7 | max_bytes = "4G"
      |             ^
      hint: the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB
)"},
    {"bytes_negative", kBase,
     R"([limits]
max_bytes = -1
)",
     R"(pipeline.toml:7:13: error: limits.max_bytes wants a size such as "64KiB" or "1GiB", found the number -1
    7 | max_bytes = -1
      |             ^
      hint: it cannot be negative
)"},
    {"bytes_overflow", kBase,
     R"([limits]
max_bytes = "9999999999TiB"
)",
     R"(pipeline.toml:7:13: error: limits.max_bytes wants a size such as "64KiB" or "1GiB", found "9999999999TiB"
    7 | max_bytes = "9999999999TiB"
      |             ^
      hint: at most 8388607TiB; 0 stands for no limit
)"},
    {"choice", kBase,
     R"([pool.scrape]
engine = "vlm"
)",
     R"(pipeline.toml:7:10: error: pool.scrape.engine is one of "vllm", "sglang" and "trtllm", not "vlm"
    7 | engine = "vlm"
      |          ^
      hint: did you mean "vllm"?
)"},
};
// clang-format on

TEST(Messages, NameTheFormThatIsWanted) { expect_answers(kMistakes); }

}  // namespace
}  // namespace sluice::config
