#include "host/ext_proc/endpoint_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/transport/fakes.h"

namespace sluice::ext_proc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EndpointText, IsAlwaysAnAddress) {
  EXPECT_EQ(endpoint_text({"a", "10.0.0.1", 8000, ""}), "10.0.0.1:8000");
  EXPECT_EQ(endpoint_text({"a", "localhost", 80, ""}), "127.0.0.1:80");
  EXPECT_EQ(endpoint_text({"a", "fd00::1", 8000, ""}), "[fd00::1]:8000");
}

class SlotsNamed : public testing::Test {
 protected:
  SlotsNamed() {
    backends.add(0, 8000, "10.0.0.1");
    backends.add(1, 8001, "10.0.0.1");
    backends.add(2, 8000, "fd00::1");
    backends.add(3, 8000, "localhost");
  }
  FakeBackends backends;
};

TEST_F(SlotsNamed, ByAddressWithOrWithoutAPort) {
  EXPECT_THAT(slots_named(backends, {"10.0.0.1"}), ElementsAre(0, 1));
  EXPECT_THAT(slots_named(backends, {"10.0.0.1:8001"}), ElementsAre(1));
  EXPECT_THAT(slots_named(backends, {"fd00::1"}), ElementsAre(2));
  EXPECT_THAT(slots_named(backends, {"[fd00::1]"}), ElementsAre(2));
  EXPECT_THAT(slots_named(backends, {"[fd00:0::1]:8000"}), ElementsAre(2));
  EXPECT_THAT(slots_named(backends, {"127.0.0.1:8000"}), ElementsAre(3));
  EXPECT_THAT(slots_named(backends, {"::ffff:10.0.0.1"}), ElementsAre(0, 1));
}

TEST_F(SlotsNamed, ByListsAndByTextsWithCommas) {
  EXPECT_THAT(slots_named(backends, {"10.0.0.1:8000", "127.0.0.1"}), ElementsAre(0, 3));
  EXPECT_THAT(slots_named(backends, {"10.0.0.1:8000, 127.0.0.1:8000,,"}), ElementsAre(0, 3));
}

TEST_F(SlotsNamed, NothingThatIsNoAddressOrIsNotThere) {
  for (const char* text :
       {"", ",", "10.0.0.2", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:80000", "10.0.0.1:8000x", "gpu-0",
        "localhost:8000", "[fd00::1", "[fd00::1]8000", "[fd00::1]:", "10.0.0.1:8000:1", "*"})
    EXPECT_THAT(slots_named(backends, {text}), IsEmpty()) << text;
}

}  // namespace
}  // namespace sluice::ext_proc
