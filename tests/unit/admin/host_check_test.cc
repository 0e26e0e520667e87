#include "host/admin/host_check.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(HostCheck, ThisMachineByAnyOfItsNamesAndAnyPort) {
  for (const char* good : {"localhost", "LocalHost:9090", "127.0.0.1", "127.0.0.1:1", "[::1]",
                           "[::1]:65535", "localhost:", "127.0.0.2:9090", "127.0.0.12"}) {
    EXPECT_TRUE(names_this_machine(good)) << good;
  }
  for (const char* bad :
       {"", "evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example",
        "128.0.0.1", "[127.0.0.1]", "[::1].evil.example", "[::1", "::1", "localhost:9090.evil",
        "localhost:123456", "user@localhost", "localhost@evil.example", "10.0.0.1",
        "localhost:x"}) {
    EXPECT_FALSE(names_this_machine(bad)) << bad;
  }
}

TEST(HostCheck, AnOriginIsOurOwnOnlyIfItIsTheVerySame) {
  EXPECT_TRUE(is_own_origin("http://localhost:9090", "localhost:9090"));
  EXPECT_TRUE(is_own_origin("https://Admin.example", "admin.example"));
  for (const char* bad : {"null", "", "http://evil.example", "http://localhost:9091",
                          "http://localhost:9090.evil", "localhost:9090", "file://"}) {
    EXPECT_FALSE(is_own_origin(bad, "localhost:9090")) << bad;
  }
}

}  // namespace
}  // namespace sluice
