// No bytes make the reader throw, crash or hang: it answers with a configuration or with at least
// one error.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "host/config/config.h"

namespace sluice::config {
namespace {

// conf/full.toml with its commented keys switched on, so that every key of the contract is in it.
std::string full_text() {
  std::ifstream file(SLUICE_SOURCE_DIR "/conf/full.toml");
  std::string out, line;
  while (std::getline(file, line)) {
    const bool is_key = line.starts_with("# ") && line.find(" = ") != std::string::npos &&
                        line.find(" = ") < 24 && line[2] >= 'a' && line[2] <= 'z';
    if (is_key || line.starts_with("# [")) line.erase(0, 2);
    out += line + "\n";
  }
  return out;
}

std::string rendered(const std::string& text) {
  Diagnostics diagnostics;
  const auto config = parse(text, "pipeline.toml", diagnostics);
  EXPECT_NE(config.has_value(), diagnostics.has_errors());
  return diagnostics.render();
}

TEST(Mutation, StartsFromACorrectFileWithEveryKey) {
  Diagnostics diagnostics;
  const auto config = parse(full_text(), "pipeline.toml", diagnostics);
  EXPECT_TRUE(config) << diagnostics.render();
  ASSERT_TRUE(config->ext_proc);
  EXPECT_TRUE(config->ext_proc->tls);
  EXPECT_GT(config->wait_for_better.min_gain, 0);
}

TEST(Mutation, EveryTruncationIsAnswered) {
  const std::string text = full_text();
  for (size_t size = 0; size < text.size(); size += 3) rendered(text.substr(0, size));
}

// Any byte: control characters, halves of UTF-8 sequences, what TOML gives a meaning to.
char any_byte(std::mt19937& random) {
  using namespace std::string_view_literals;
  constexpr std::string_view kMeaning = "\n\r\t\"'[]{}=.,#\\-+_$ \0\xff\xc3\x80"sv;
  return random() % 2 == 0 ? kMeaning[random() % kMeaning.size()] : static_cast<char>(random());
}

TEST(Mutation, EveryByteMayBeAnyOther) {
  const std::string text = full_text();
  std::mt19937 random(1);
  for (int round = 0; round < 3000; round++) {
    std::string mutant = text;
    for (unsigned edits = 1 + random() % 4; edits != 0; edits--) {
      const size_t at = random() % mutant.size();
      switch (random() % 4) {
        case 0:
          mutant[at] = any_byte(random);
          break;
        case 1:
          mutant.insert(at, 1, any_byte(random));
          break;
        case 2:
          mutant.erase(at, 1 + random() % 8);
          break;
        default:
          mutant.insert(at, mutant.substr(random() % mutant.size(), random() % 40));
          break;
      }
    }
    rendered(mutant);
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Values of every type in the place of every value.
TEST(Mutation, EveryValueMayHaveAnyType) {
  constexpr const char* kValues[] = {"1",
                                     "-1",
                                     "9223372036854775807",
                                     "1.5",
                                     "nan",
                                     "-inf",
                                     "true",
                                     "\"\"",
                                     "\"text\"",
                                     "\"${\"",
                                     "\"${SLUICE_TEST_UNSET:-}\"",
                                     "\"\\u0000\"",
                                     "[]",
                                     "[[]]",
                                     "[1, \"a\"]",
                                     "{}",
                                     "[{}]",
                                     "{ use = 1 }",
                                     "[ { name = \"x\" }, { name = \"x\" } ]",
                                     "1979-05-27",
                                     "07:32:00"};
  const std::vector<std::string> lines = lines_of(full_text());
  for (size_t i = 0; i < lines.size(); i++) {
    const size_t equals = lines[i].find(" = ");
    if (equals == std::string::npos || lines[i][0] == '#') continue;
    for (const char* value : kValues) {
      std::vector<std::string> mutant = lines;
      mutant[i] = lines[i].substr(0, equals) + " = " + value;
      rendered(joined(mutant));
    }
  }
}

// A key that is misspelt by one letter is found, and the right one is named.
TEST(Mutation, EveryMisspeltKeyIsNamed) {
  const std::vector<std::string> lines = lines_of(full_text());
  int tried = 0;
  for (size_t i = 0; i < lines.size(); i++) {
    const size_t equals = lines[i].find(" = ");
    if (equals == std::string::npos || equals < 6 || lines[i][0] == '#' || lines[i][0] == ' ')
      continue;
    const std::string key = lines[i].substr(0, equals);
    std::vector<std::string> mutant = lines;
    std::swap(mutant[i][2], mutant[i][3]);
    if (mutant[i] == lines[i]) continue;
    const std::string out = rendered(joined(mutant));
    EXPECT_NE(out.find("pipeline.toml:" + std::to_string(i + 1) + ":1: error: unknown key \"" +
                       mutant[i].substr(0, equals) + "\""),
              std::string::npos)
        << key << "\n"
        << out;
    EXPECT_NE(out.find("did you mean \"" + key + "\"?"), std::string::npos) << key << "\n" << out;
    tried++;
  }
  EXPECT_GE(tried, 30);
}

TEST(Mutation, LinesMayStandInAnyOrder) {
  const std::vector<std::string> lines = lines_of(full_text());
  std::mt19937 random(2);
  for (int round = 0; round < 500; round++) {
    std::vector<std::string> mutant = lines;
    for (int edits = 0; edits < 3; edits++) {
      const size_t from = random() % mutant.size(), to = random() % mutant.size();
      if (random() % 2 == 0) {
        std::swap(mutant[from], mutant[to]);
      } else {
        mutant.insert(mutant.begin() + static_cast<ptrdiff_t>(from), mutant[to]);
      }
    }
    rendered(joined(mutant));
  }
}

TEST(Mutation, AnyBytesAtAllAreAnswered) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    Diagnostics diagnostics;
    const auto config = parse(text, "f", diagnostics);
    RC_ASSERT(config.has_value() != diagnostics.has_errors());
    RC_ASSERT(diagnostics.render().empty() == config.has_value());
  }));
}

}  // namespace
}  // namespace sluice::config
