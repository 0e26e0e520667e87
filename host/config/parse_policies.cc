// The policies of a slot, [[scoring]] and [picker].
#include <fmt/format.h>

#include <algorithm>

#include "core/limits.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kSmall = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool made_of(std::string_view text, std::initializer_list<std::string_view> alphabets) {
  return !text.empty() && text.size() <= kNameMax &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return std::any_of(alphabets.begin(), alphabets.end(), [c](std::string_view alphabet) {
             return alphabet.find(c) != std::string_view::npos;
           });
         });
}

void read_use(TableReader& table, PolicyUse& out) {
  std::string use;
  out.at = table.at("use");
  out.name.clear();
  if (!table.read_string("use", use)) {
    table.require("use", "such as use = \"fcfs\"");
    return;
  }
  const size_t slash = use.find('/');
  const bool bare = slash == std::string::npos;
  const std::string package = bare ? out.package : use.substr(0, slash);
  const std::string name = bare ? use : use.substr(slash + 1);
  if (!made_of(package, {kSmall, kCapitals, kDigits, "._-"}) ||
      !made_of(name, {kSmall, kDigits, "-"})) {
    table.error("use", fmt::format("{} cannot be a policy", quote(use)),
                "NAME or PACKAGE/NAME; the name has a-z, 0-9 and '-'");
    return;
  }
  out.package = package;
  out.name = name;
}

struct Scoring {
  const char* name;
  double weight;
};

constexpr Scoring kStandard[] = {{"queue-depth", 2}, {"kv-cache", 2}, {"prefix-cache", 3}};

void read_wait_for_better(TableReader& picker, WaitForBetter& out) {
  auto wait = picker.table("wait_for_better");
  if (!wait) return;
  if (!wait->read_number("min_gain", out.min_gain, 0, kShareMax))
    wait->require("min_gain", "such as 0.5");
  if (!wait->read_duration("max_wait", out.wait_max_ns))
    wait->require("max_wait", "such as \"100ms\"");
  wait->finish();
}

}  // namespace

void read_policy(TableReader& table, PolicyUse& out) {
  read_use(table, out);
  table.read_choice<bool>("mode", out.shadow, {{"active", false}, {"shadow", true}});
  if (out.shadow) {
    table.not_built("mode", R"(mode "shadow")", "the built-in policy of the slot acts instead");
  }
  if (table.read_string("sha256", out.sha256)) {
    if (!is_sha256(out.sha256)) {
      table.error("sha256", fmt::format("{} is no SHA-256 of a file", quote(out.sha256)),
                  fmt::format("64 hex digits, as sha256sum prints them; these are {} characters",
                              out.sha256.size()));
      out.name.clear();
    }
    out.sha256 = lower_case(out.sha256);
  } else if (table.has("sha256")) {
    out.name.clear();
  }
  if (auto params = table.read_params("params")) out.params = std::move(*params);
}

void read_scoring(TableReader& root, Config& config) {
  if (!root.has("scoring")) {
    for (const Scoring& standard : kStandard) {
      Scorer scorer;
      scorer.use.name = standard.name;
      scorer.use.at = root.at();
      scorer.weight = standard.weight;
      config.scorers.push_back(std::move(scorer));
    }
  }
  for (TableReader& table : root.tables("scoring", kScorersMax)) {
    Scorer scorer;
    read_policy(table, scorer.use);
    table.read_number("weight", scorer.weight, 0, kShareMax);
    table.finish();
    config.scorers.push_back(std::move(scorer));
  }

  auto picker = root.table("picker", "use");
  if (!picker) return;
  picker->read_choice<PickerKind>("use", config.picker,
                                  {{"max-score", PickerKind::kMaxScore},
                                   {"weighted-random", PickerKind::kWeightedRandom},
                                   {"power-of-two", PickerKind::kPowerOfTwo}});
  const bool given =
      picker->read_integer("max_endpoints", config.picker_max_endpoints, 1, kEndpointsMax);
  if (given && config.picker_max_endpoints > 1 && !config.ext_proc)
    picker->warning("max_endpoints", "nobody is given a list: one endpoint is picked",
                    "lists are for gateways that fall back by themselves, on listen.ext_proc");
  read_wait_for_better(*picker, config.wait_for_better);
  picker->finish();
}

}  // namespace sluice::config
