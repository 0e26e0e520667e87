#include "host/traces/loads.h"

#include <fmt/format.h>

#include <cmath>

#include "host/config/document.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"
#include "host/traces/generator.h"
#include "host/traces/limits.h"

namespace sluice::traces {
namespace {

using config::TableReader;

constexpr double kTokens = kTokensMax;
constexpr const char* kTokensHint =
    "a number, { mean = 256, cv = 1.5 } or { min = 100, max = 500 }";

void read_name(TableReader& table, std::string_view key, std::string& out) {
  if (!table.read_string(key, out) || out.empty() || config::is_free_name(out)) return;
  table.error(
      key, fmt::format("{} is no name", config::quote(out)),
      fmt::format("valid UTF-8 without control characters, at most {} bytes", kNameBytesMax));
}

void read_tokens(TableReader& table, std::string_view key, TokenCount& out) {
  if (!table.is_table(key)) {
    uint32_t tokens = 0;
    if (table.read_integer(key, tokens, 1, int64_t{kTokensMax}, kTokensHint)) out.a = tokens;
    table.require(key, kTokensHint);
    return;
  }
  TableReader inside = *table.table(key);
  if (inside.has("min") || inside.has("max")) {
    uint32_t min = 1, max = 1;
    out.kind = TokenCount::Kind::kUniform;
    const bool has_min = inside.read_integer("min", min, 1, int64_t{kTokensMax});
    const bool has_max = inside.read_integer("max", max, 1, int64_t{kTokensMax});
    inside.require("min", kTokensHint);
    inside.require("max", kTokensHint);
    if (has_min && has_max && min > max) inside.error("min", "min is above max");
    out.a = min;
    out.b = max;
  } else {
    out.kind = TokenCount::Kind::kLogNormal;
    inside.read_number("mean", out.a, 1, kTokens);
    inside.read_number("cv", out.b, 0, kCvMax);
    inside.require("mean", kTokensHint);
    inside.require("cv", kTokensHint);
  }
  inside.finish();
}

// KEY is read and checked in any case, but means something only where it FITS.
void only_where(TableReader& table, std::string_view key, bool fits, const char* kinds) {
  if (fits || !table.has(key)) return;
  table.error(key, fmt::format("{} means nothing for a load of this kind", table.path_of(key)),
              fmt::format("it belongs to kind = {}", kinds));
}

void read_rate(TableReader& table, Load& load) {
  const bool closed = load.kind == LoadKind::kClosed;
  table.read_number("rate", load.rate, 0, kRateMax);
  load.rate_end = load.rate;
  table.read_number("rate_end", load.rate_end, 0, kRateMax);
  if (!closed) table.require("rate", "requests a second");
  constexpr const char* kOpen = R"("uniform", "poisson", "gamma" or "on-off")";
  only_where(table, "rate", !closed, kOpen);
  only_where(table, "rate_end", !closed, kOpen);
  if (!closed && table.has("rate") && load.rate == 0 && load.rate_end == 0) {
    table.error("rate", "a load of rate 0 sends nothing", "leave it out, or give it a rate_end");
  }
}

void read_kind(TableReader& table, Load& load) {
  const bool gamma = load.kind == LoadKind::kGamma, on_off = load.kind == LoadKind::kOnOff,
             closed = load.kind == LoadKind::kClosed;
  table.read_number("cv", load.cv, kCvMin, kCvMax);
  only_where(table, "cv", gamma, R"("gamma")");
  if (gamma) table.require("cv", "of the gaps between requests: 1 is as Poisson, 4 are bursts");

  const bool has_on = table.read_duration("on", load.on);
  table.read_duration("off", load.off);
  only_where(table, "on", on_off, R"("on-off")");
  only_where(table, "off", on_off, R"("on-off")");
  if (on_off) {
    table.require("on", "how long it sends at a time");
    table.require("off", "how long it is silent then");
    if (has_on && load.on == 0) table.error("on", "it must be on for longer than 0");
  }

  table.read_integer("clients", load.clients, 1, int64_t{kClientsMax});
  table.read_duration("think", load.think);
  only_where(table, "clients", closed, R"("closed")");
  only_where(table, "think", closed, R"("closed")");
  if (closed) table.require("clients", "how many send, wait for the answer and send again");
}

// END: of all loads that do not say it themselves; kNever = nobody says it.
void read_times(TableReader& table, TimeNs end, Load& load) {
  TimeNs lasting = 0;
  table.read_duration("from", load.from);
  const bool has_to = table.read_duration("to", load.to);
  const bool has_duration = table.read_duration("duration", lasting);
  if (table.has("to") && table.has("duration")) {
    table.error("duration", R"(either "to" or "duration" says when a load ends)", "leave one out");
    return;
  }
  if (has_duration) load.to = load.from + lasting;
  if (!table.has("to") && !table.has("duration")) {
    load.to = end;
    if (end == kNever) table.require("duration", R"(here or at the top: duration = "600s")");
  } else if (!has_to && !has_duration) {
    return;  // there, but wrong
  }
  if (load.to > kTraceMaxNs && load.to != kNever) {
    table.error(has_to ? "to" : "duration", "a load must end within 87600h");
  }
  if (load.from >= load.to) {
    table.error("from", "this load ends before it begins", "its times are from the trace's start");
  }
}

Load read_load(TableReader& table, TimeNs end) {
  Load load;
  const bool known = table.read_choice("kind", load.kind,
                                       {{"uniform", LoadKind::kUniform},
                                        {"poisson", LoadKind::kPoisson},
                                        {"gamma", LoadKind::kGamma},
                                        {"on-off", LoadKind::kOnOff},
                                        {"closed", LoadKind::kClosed}});
  table.require("kind", R"("uniform", "poisson", "gamma", "on-off" or "closed")");
  if (!known) return load;  // what its other keys mean depends on it
  read_rate(table, load);
  read_kind(table, load);
  read_times(table, end, load);
  read_name(table, "flow", load.flow);
  read_name(table, "objective", load.objective);
  read_name(table, "model", load.model);
  read_tokens(table, "prompt_tokens", load.prompt);
  read_tokens(table, "output_tokens", load.output);
  read_name(table, "prefix_group", load.prefix_group);
  table.read_integer("prefix_tokens", load.prefix_tokens, 1, int64_t{kTokensMax});
  if (table.has("prefix_tokens") && !table.has("prefix_group")) {
    table.error("prefix_tokens", "these tokens are shared with nobody",
                R"(name those who share them: prefix_group = "agents")");
  }
  table.finish();
  return load;
}

}  // namespace

std::optional<std::vector<Load>> read_loads(std::string_view text, const std::string& name,
                                            config::Diagnostics& diagnostics) {
  diagnostics.set_source(name, std::string(text.substr(0, config::kFileBytesMax)));
  const std::optional<toml::table> document = config::read_document(text, diagnostics);
  if (!document) return std::nullopt;
  config::Source source = config::source_of(name, diagnostics);
  TableReader root(*document, "", "", config::kFileStart, source);
  TimeNs end = kNever;
  if (root.read_duration("duration", end) && end == 0) {
    root.error("duration", "it must be longer than 0");
    end = kNever;
  }
  std::vector<Load> loads;
  uint64_t clients = 0;
  for (TableReader& table : root.tables("load", kLoadsMax)) {
    loads.push_back(read_load(table, end));
    if (loads.back().kind == LoadKind::kClosed) clients += loads.back().clients;
    if (clients > kClientsMax) {
      table.error("clients", fmt::format("more than {} clients in this file", kClientsMax));
      break;
    }
  }
  if (loads.empty() && !diagnostics.has_errors()) {
    diagnostics.error(config::kFileStart, "there are no loads", "each is a table [[load]]");
  }
  root.finish();
  if (diagnostics.has_errors()) return std::nullopt;
  return loads;
}

Result<std::unique_ptr<Source>> open_loads(std::istream& in, const std::string& name,
                                           const TraceOptions& options) {
  std::string text(config::kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  config::Diagnostics diagnostics;
  std::optional<std::vector<Load>> loads = read_loads(text, name, diagnostics);
  if (!loads) {
    std::string errors = diagnostics.render();
    if (errors.ends_with('\n')) errors.pop_back();
    return Error{std::move(errors)};
  }
  if (options.start != 0 || options.repeat != 1) {
    return Error{fmt::format(
        "{}: error: loads are neither begun later nor repeated; their own from, to and duration "
        "say when they send",
        name)};
  }
  return std::unique_ptr<Source>(
      std::make_unique<Generator>(std::move(*loads), options.seed, options.duration));
}

}  // namespace sluice::traces
