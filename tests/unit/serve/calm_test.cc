#include "host/serve/calm.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Calm, OnceAfterACrowdHasGone) {
  Calm calm;
  EXPECT_FALSE(calm.look(10'000));
  EXPECT_FALSE(calm.look(3000));
  EXPECT_FALSE(calm.look(10));
  EXPECT_TRUE(calm.look(10));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(calm.look(10)) << "it has been given back";
}

TEST(Calm, NotWhileALoadBreathes) {
  Calm calm;
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(calm.look(10'000));
    EXPECT_FALSE(calm.look(0));
    EXPECT_FALSE(calm.look(0));
  }
}

TEST(Calm, NotForAFew) {
  Calm calm;
  EXPECT_FALSE(calm.look(Calm::kCrowdMin - 1));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(calm.look(0));
}

TEST(Calm, AgainForWhatIsLeft) {
  Calm calm;
  calm.look(10'000);
  bool gone = false;
  for (int i = 0; i < 3; ++i) gone = calm.look(4000);
  EXPECT_TRUE(gone);
  EXPECT_FALSE(calm.look(2500)) << "more than half of those left are there";
  for (int i = 0; i < 3; ++i) gone = calm.look(1000);
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace sluice
