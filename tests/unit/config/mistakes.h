// A mistake in pipeline.toml and the whole text of the answer, as the tests of messages list them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <span>
#include <string>

#include "host/config/config.h"

namespace sluice::config {

// What a correct file needs; what follows it begins at line 6.
inline constexpr const char* kBase = R"(schema = 1
[listen.http]
[[pool.endpoints]]
name = "a"
address = "127.0.0.1:8101"
)";

struct Mistake {
  const char* name;
  const char* before;  // kBase, or "" where TEXT is the whole file
  const char* text;
  const char* answer;
};

inline void expect_answers(std::span<const Mistake> mistakes) {
  unsetenv("SLUICE_TEST_UNSET");
  for (const Mistake& mistake : mistakes) {
    SCOPED_TRACE(mistake.name);
    Diagnostics diagnostics;
    const auto config =
        parse(std::string(mistake.before) + mistake.text, "pipeline.toml", diagnostics);
    EXPECT_EQ(diagnostics.render(), mistake.answer);
    EXPECT_EQ(config.has_value(), !diagnostics.has_errors());
  }
}

}  // namespace sluice::config
