#include "host/serve/policy_faults.h"

#include <gmock/gmock.h>

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

PolicyStats policy(bool quarantined) {
  return {.band = "default",
          .kind = "fairness",
          .name = "com.example/odd",
          .faults = 8,
          .quarantined = quarantined,
          .last_fault = "picked slot 7, which is not ready"};
}

TEST(PolicyFaults, TellsOfQuarantineOnceAndOfItsEnd) {
  PolicyFaults faults;
  EXPECT_THAT(faults.look({policy(false)}), IsEmpty());
  EXPECT_THAT(
      faults.look({policy(true)}),
      ElementsAre("fairness policy com.example/odd of band default is in quarantine after 8 "
                  "faults, the built-in one acts: picked slot 7, which is not ready"));
  EXPECT_THAT(faults.look({policy(true)}), IsEmpty());
  EXPECT_THAT(faults.look({policy(false)}),
              ElementsAre("fairness policy com.example/odd of band default is out of quarantine"));
  EXPECT_THAT(faults.look({policy(true)}), testing::SizeIs(1));
}

TEST(PolicyFaults, APolicyThatWasReplacedIsOutOfQuarantine) {
  PolicyFaults faults;
  faults.look({policy(true)});
  EXPECT_THAT(faults.look({}), testing::SizeIs(1));
}

}  // namespace
}  // namespace sluice
