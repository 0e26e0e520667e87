#include "host/cli/log_command.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/decision_checker.h"
#include "host/exit_codes.h"

namespace sluice {
namespace {

constexpr size_t kBlockBytes = 1 << 20;

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Feeds FILE to CHECKER line by line. False with errno set if reading fails.
bool read_log(std::FILE* file, DecisionChecker& checker) {
  std::string buffer;
  while (true) {
    const size_t kept = buffer.size();
    buffer.resize(kept + kBlockBytes);
    const size_t got = std::fread(buffer.data() + kept, 1, kBlockBytes, file);
    buffer.resize(kept + got);
    size_t begin = 0;
    for (size_t end = 0; (end = buffer.find('\n', std::max(begin, kept))) != std::string::npos;
         begin = end + 1) {
      checker.read_line(std::string_view(buffer).substr(begin, end - begin));
    }
    buffer.erase(0, begin);
    if (got == kBlockBytes && buffer.size() <= kDecisionLogLineBytesMax) continue;
    if (std::ferror(file) != 0) return false;
    // What is left has no newline: nothing, a line that was cut off, or one that no log contains.
    if (buffer.size() > kDecisionLogLineBytesMax) {
      checker.read_line(buffer);
    } else {
      checker.end_of_file(!buffer.empty());
    }
    return true;
  }
}

// 1234567 -> "1,234,567"
std::string grouped(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

uint64_t violations(const CheckReport& r, Violation::Kind kind) {
  return r.violations[static_cast<size_t>(kind)];
}

void row(const char* name, uint64_t value, const std::string& note = "") {
  std::printf("  %-18s %14s%s%s\n", name, grouped(value).c_str(), note.empty() ? "" : "   ",
              note.c_str());
}

void print_text(const std::string& file, const CheckReport& r) {
  std::printf("decision log %s\n", file.c_str());
  row("records", r.records,
      "over " + std::to_string((r.last_at - r.first_at) / 1'000'000) + " ms, in " +
          grouped(r.calls) + " engine calls");
  row("requests", r.requests,
      grouped(r.ended_in_all()) + " ended, " + grouped(r.parked) + " parked, " +
          grouped(r.in_flight) + " in flight");
  row("dispatches", r.dispatches, grouped(r.contested) + " of them while a higher band had work");
  row("requeues", r.requeues);
  if (r.excused != 0)
    row("held back", r.excused,
        "dispatches and calls excused by a band that idles, holds or is at its ceiling");
  std::printf("violations\n");
  row("inversions", violations(r, Violation::Kind::kInversion), "a lower band went first");
  row("order", violations(r, Violation::Kind::kOrder), "not the head of its flow");
  row("work conservation", violations(r, Violation::Kind::kConservation),
      "work left although there was room");
  row("eligibility", violations(r, Violation::Kind::kEligibility),
      "an endpoint not of its class, or without room");
  row("ledger", violations(r, Violation::Kind::kLedger), "a request in two places, or in none");
  for (const Violation& v : r.first) {
    std::printf("%s:%" PRIu64 ": %s: %s\n", file.c_str(), v.line, to_string(v.kind),
                v.text.c_str());
  }
  if (r.violations_in_all() > r.first.size()) {
    std::printf("... and %s more\n", grouped(r.violations_in_all() - r.first.size()).c_str());
  }
  if (!r.incomplete.empty()) {
    std::printf("INCOMPLETE: %s\n", r.incomplete.c_str());
  } else if (r.violations_in_all() != 0) {
    std::printf("BROKEN: %s violations\n", grouped(r.violations_in_all()).c_str());
  } else {
    std::printf("OK: every promise was kept%s\n",
                r.closed
                    ? ""
                    : ", as far as the log goes (it was not closed: its host still runs, or died)");
  }
}

void print_json(const std::string& file, const CheckReport& r) {
  nlohmann::ordered_json out = {
      {"file", file},
      {"ok", r.ok()},
      {"incomplete", r.incomplete},
      {"closed", r.closed},
      {"lines", r.lines},
      {"records", r.records},
      {"calls", r.calls},
      {"duration_ns", r.last_at - r.first_at},
      {"requests", r.requests},
      {"parked", r.parked},
      {"in_flight", r.in_flight},
      {"dispatches", r.dispatches},
      {"contested_dispatches", r.contested},
      {"requeues", r.requeues},
      {"excused", r.excused},
  };
  for (int i = 0; i < kOutcomes; ++i)
    out["ended"][to_string(static_cast<Outcome>(i))] = r.ended[static_cast<size_t>(i)];
  for (size_t i = 0; i < kViolationKinds; ++i)
    out["violations"][to_string(static_cast<Violation::Kind>(i))] = r.violations[i];
  out["first"] = nlohmann::ordered_json::array();
  for (const Violation& v : r.first) {
    out["first"].push_back(
        {{"line", v.line}, {"at_ns", v.at}, {"kind", to_string(v.kind)}, {"text", v.text}});
  }
  std::printf("%s\n",
              out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

int check_log(const std::string& name, bool json) {
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(name.c_str(), "rbe"));
  DecisionChecker checker;
  if (file == nullptr || !read_log(file.get(), checker)) {
    std::fprintf(stderr, "sluice: error: cannot read %s: %s\n", name.c_str(), std::strerror(errno));
    return kExitUsage;
  }
  const CheckReport& report = checker.report();
  json ? print_json(name, report) : print_text(name, report);
  return report.ok() ? kExitOk : kExitRuntime;
}

}  // namespace

void add_log_command(CLI::App& app, int& exit_code) {
  struct Options {
    std::string file;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* log = app.add_subcommand("log", "Work with decision logs");
  log->require_subcommand(1);
  CLI::App* check =
      log->add_subcommand("check", "Recompute from a decision log whether every promise was kept");
  check->add_option("FILE", options->file, "What [log] decisions in pipeline.toml names")
      ->required();
  check->add_flag("--json", options->json, "Machine-readable output");
  check->callback([options, &exit_code] { exit_code = check_log(options->file, options->json); });
}

}  // namespace sluice
