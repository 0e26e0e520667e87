#include "host/pool/model_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "host/pool/pool_limits.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ServedModels serves(uint32_t slot, std::vector<std::string> names) {
  return {slot, false, std::move(names)};
}
ServedModels unknown(uint32_t slot) { return {slot, true, {}}; }

// The engine's view: class -> members, as told by changes alone.
class Classes {
 public:
  void update(const std::vector<ServedModels>& endpoints, TimeNs now = 1) {
    for (const ModelClasses::Change& change : classes.update(now, endpoints)) {
      if (change.id >= told.size()) told.resize(change.id + 1);
      EXPECT_NE(told[change.id], change.members) << "not a change";
      told[change.id] = change.members;
    }
  }
  std::optional<ClassId> find(std::string_view model) { return classes.map()->find(model); }
  std::vector<uint32_t> members(std::string_view model) {
    std::optional<ClassId> id = find(model);
    if (!id) return {9999};
    return *id < told.size() ? told[*id] : std::vector<uint32_t>{};
  }

  ModelClasses classes;
  std::vector<std::vector<uint32_t>> told;
};

TEST(ModelClasses, WithoutEndpointsEveryNameWaitsInTheSharedClass) {
  Classes classes;
  EXPECT_EQ(classes.find("m"), ModelClasses::kOthers);
  classes.update({});
  EXPECT_EQ(classes.find("m"), ModelClasses::kOthers);
  EXPECT_THAT(classes.members("m"), IsEmpty());
}

TEST(ModelClasses, ExactNames) {
  Classes classes;
  classes.update({serves(0, {"a"}), serves(1, {"a", "b"}), serves(2, {"b"})});
  EXPECT_THAT(classes.members("a"), ElementsAre(0, 1));
  EXPECT_THAT(classes.members("b"), ElementsAre(1, 2));
  EXPECT_EQ(classes.find("c"), std::nullopt);
  EXPECT_THAT(classes.classes.map()->names(), ElementsAre("a", "b"));
}

TEST(ModelClasses, UnknownEndpointsMayServeEverything) {
  Classes classes;
  classes.update({serves(0, {"a"}), unknown(1)});
  EXPECT_THAT(classes.members("a"), ElementsAre(0, 1));
  EXPECT_THAT(classes.members("anything"), ElementsAre(1));
  EXPECT_EQ(classes.find("x"), classes.find("y")) << "invented names share one class";
  classes.update({serves(0, {"a"}), serves(1, {"b"})});
  EXPECT_THAT(classes.members("a"), ElementsAre(0));
  EXPECT_EQ(classes.find("anything"), std::nullopt);
}

TEST(ModelClasses, PatternsNestAndMeetExactNames) {
  Classes classes;
  classes.update({serves(0, {"llama-*"}), serves(1, {"llama-3-*"}), serves(2, {"llama-3-8b"}),
                  serves(3, {"*"})});
  EXPECT_THAT(classes.members("llama-3-8b"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(classes.members("llama-3-70b"), ElementsAre(0, 1, 3));
  EXPECT_THAT(classes.members("llama-2"), ElementsAre(0, 3));
  EXPECT_THAT(classes.members("llama-"), ElementsAre(0, 3));
  EXPECT_THAT(classes.members("llama"), ElementsAre(3));
  EXPECT_THAT(classes.members(""), ElementsAre(3));
  EXPECT_THAT(classes.classes.map()->names(), ElementsAre("llama-3-8b"));
}

TEST(ModelClasses, ANameKeepsItsClassWhenItsEndpointsAreGone) {
  Classes classes;
  classes.update({serves(0, {"a"}), serves(1, {"b"})});
  const std::optional<ClassId> a = classes.find("a");
  classes.update({serves(1, {"b"})});
  EXPECT_EQ(classes.find("a"), a);
  EXPECT_THAT(classes.members("a"), IsEmpty());
  EXPECT_THAT(classes.classes.map()->names(), ElementsAre("b"));
  classes.update({serves(5, {"a"}), serves(1, {"b"})});
  EXPECT_EQ(classes.find("a"), a);
  EXPECT_THAT(classes.members("a"), ElementsAre(5));
}

TEST(ModelClasses, RepeatingTheSameChangesNothing) {
  ModelClasses classes;
  const std::vector<ServedModels> endpoints = {serves(0, {"a", "b*"}), unknown(1)};
  EXPECT_FALSE(classes.update(1, endpoints).empty());
  EXPECT_TRUE(classes.update(2, endpoints).empty());
}

TEST(ModelClasses, NamesBeyondTheLimitAreLeftOutUntilOldOnesAreForgotten) {
  Classes classes;
  std::vector<std::string> names;
  for (size_t i = 0; i + 2 < kClassesMax; i++) names.push_back("m" + std::to_string(i));
  classes.update({serves(0, names)}, 1);
  EXPECT_EQ(classes.classes.size(), kClassesMax);
  EXPECT_EQ(classes.classes.left_out(), 0u);

  classes.update({serves(0, {"new"})}, 2);
  EXPECT_EQ(classes.find("new"), std::nullopt);
  EXPECT_EQ(classes.classes.left_out(), 1u);
  EXPECT_NE(classes.find("m5"), std::nullopt);

  classes.update({serves(0, {"new", "m0"})}, 1 + kClassForgetNs);
  EXPECT_THAT(classes.members("new"), ElementsAre(0));
  EXPECT_THAT(classes.members("m0"), ElementsAre(0));
  EXPECT_EQ(classes.classes.size(), kClassesMax);
}

// Against the definition: whoever lists the name, a pattern that fits, or is unknown.
TEST(ModelClasses, AgreesWithTheDefinitionUnderRandomPools) {
  std::mt19937 random(3);
  auto word = [&](size_t max) {
    std::string out;
    for (size_t n = random() % (max + 1); n > 0; n--) out += "ab"[random() % 2];
    return out;
  };
  Classes classes;
  std::vector<std::string> ever;
  for (int round = 0; round < 400; round++) {
    std::vector<ServedModels> endpoints;
    for (uint32_t slot = 0; slot < random() % 5; slot++) {
      ServedModels endpoint{slot, random() % 6 == 0, {}};
      for (size_t n = random() % 4; n > 0 && !endpoint.unknown; n--) {
        endpoint.names.push_back(word(3) + (random() % 2 ? "*" : ""));
      }
      ever.insert(ever.end(), endpoint.names.begin(), endpoint.names.end());
      endpoints.push_back(endpoint);
    }
    classes.update(endpoints, static_cast<TimeNs>(round));
    for (int probe = 0; probe < 20; probe++) {
      const std::string model = word(4);
      auto fits = [&](const std::string& name) {
        if (name.empty() || name.back() != '*') return name == model;
        return model.compare(0, name.size() - 1, name, 0, name.size() - 1) == 0;
      };
      std::vector<uint32_t> expected;
      bool open = endpoints.empty();
      for (const ServedModels& endpoint : endpoints) {
        open = open || endpoint.unknown;
        if (endpoint.unknown || std::any_of(endpoint.names.begin(), endpoint.names.end(), fits)) {
          expected.push_back(endpoint.slot);
        }
      }
      const bool known = open || std::any_of(ever.begin(), ever.end(), fits);
      ASSERT_EQ(classes.find(model).has_value(), known) << model;
      if (known) {
        ASSERT_EQ(classes.members(model), expected) << model;
      }
    }
  }
}

}  // namespace
}  // namespace sluice
