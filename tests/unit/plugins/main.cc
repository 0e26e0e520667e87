// The test program is its own probe: the loader under test starts it again to describe plugin
// files.
#include <gtest/gtest.h>

#include "host/plugins/probe.h"

int main(int argc, char** argv) {
  if (sluice::plugins::is_probe(argc, argv)) return sluice::plugins::probe_main(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
