#include "host/config/values.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "host/config/limits.h"

namespace sluice::config {
namespace {

TEST(Durations, HaveOneNumberAndOneUnit) {
  EXPECT_EQ(*parse_duration("5ns"), 5U);
  EXPECT_EQ(*parse_duration("10us"), 10'000U);
  EXPECT_EQ(*parse_duration("250ms"), 250'000'000U);
  EXPECT_EQ(*parse_duration("60s"), 60'000'000'000U);
  EXPECT_EQ(*parse_duration("5m"), 300'000'000'000U);
  EXPECT_EQ(*parse_duration("1h"), 3'600'000'000'000U);
  EXPECT_EQ(*parse_duration("0"), 0U);
  EXPECT_EQ(*parse_duration("0s"), 0U);
  EXPECT_EQ(*parse_duration("87600h"), kDurationMaxNs);
  for (const char* wrong : {"", "5", "s", "5 s", " 5s", "5s ", "5S", "-0s", "+5s", "1e3s", "0x5s",
                            "nan", "87601h", "18446744073709551616ns", "5\0s", "5d"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(Sizes, AreBytesOrHaveAUnit) {
  EXPECT_EQ(*parse_bytes("0"), 0U);
  EXPECT_EQ(*parse_bytes("512"), 512U);
  EXPECT_EQ(*parse_bytes("512B"), 512U);
  EXPECT_EQ(*parse_bytes("64KiB"), 65'536U);
  EXPECT_EQ(*parse_bytes("10MB"), 10'000'000U);
  EXPECT_EQ(*parse_bytes("1GiB"), 1U << 30);
  EXPECT_EQ(*parse_bytes("9223372036854775807"), uint64_t{INT64_MAX});
  for (const char* wrong : {"", "KiB", "64K", "64kib", "64 KiB", "1.5GiB", "-1", "-1KiB",
                            "9223372036854775808", "8388608TiB", "99999999999999999999GiB"}) {
    EXPECT_FALSE(parse_bytes(wrong)) << wrong;
  }
}

TEST(Durations, NeverOverflow) {
  EXPECT_TRUE(rc::check([](uint64_t number) {
    for (const char* unit : {"ns", "us", "ms", "s", "m", "h"}) {
      const auto value = parse_duration(std::to_string(number) + unit);
      if (value) RC_ASSERT(value.value() >= number && value.value() <= kDurationMaxNs);
    }
    for (const char* unit : {"", "B", "KiB", "TB", "TiB"}) {
      const auto value = parse_bytes(std::to_string(number) + unit);
      if (value) RC_ASSERT(value.value() >= number && value.value() <= uint64_t{INT64_MAX});
    }
  }));
}

TEST(Numbers, AreWholeAndFinite) {
  EXPECT_EQ(parse_integer("-7"), -7);
  EXPECT_EQ(parse_number("2.5e1"), 25.0);
  EXPECT_FALSE(parse_integer("7.0"));
  EXPECT_FALSE(parse_integer("7 "));
  EXPECT_FALSE(parse_number("inf"));
  EXPECT_FALSE(parse_number("nan"));
  EXPECT_FALSE(parse_number("1e999"));
  EXPECT_FALSE(parse_boolean("True"));
}

TEST(Addresses, AreCanonical) {
  struct Case {
    const char *text, *host;
    uint16_t port;
  };
  for (const Case& c :
       {Case{"127.0.0.1:80", "127.0.0.1", 80}, Case{"0.0.0.0:0", "0.0.0.0", 0},
        Case{"[::1]:65535", "::1", 65535}, Case{"[0:0::1]:80", "::1", 80},
        Case{"[FD00::A]:80", "fd00::a", 80}, Case{"localhost:80", "localhost", 80}}) {
    const auto address = parse_address(c.text);
    ASSERT_TRUE(address) << c.text << ": " << address.error();
    EXPECT_EQ(address.value().host, c.host);
    EXPECT_EQ(address.value().port, c.port);
    EXPECT_EQ(address.value().text, c.text);
  }
}

TEST(Addresses, OfAnyOtherFormAreRefused) {
  for (const char* wrong : {"",
                            ":",
                            ":80",
                            "*:80",
                            "80",
                            "127.0.0.1",
                            "127.0.0.1:",
                            "127.0.0.1:65536",
                            "127.0.0.1:-1",
                            "127.0.0.1: 80",
                            "127.0.0.1:80/",
                            "127.1:80",
                            "256.0.0.1:80",
                            "::1:80",
                            "[::1]",
                            "[::1]80",
                            "[127.0.0.1]:80",
                            "[localhost]:80",
                            "[]:80",
                            "[::1:80",
                            "gpu-0:80",
                            "http://127.0.0.1:80",
                            "fe80::1%eth0:80",
                            "[fe80::1%eth0]:80"}) {
    EXPECT_FALSE(parse_address(wrong)) << wrong;
  }
  EXPECT_FALSE(parse_address(std::string_view("127.0.0.1\0:80", 13)));
}

TEST(Addresses, ReachAListener) {
  const auto reached = [](const char* listener, const char* destination) {
    return reaches(parse_address(listener).value(), parse_address(destination).value());
  };
  EXPECT_TRUE(reached("127.0.0.1:80", "localhost:80"));
  EXPECT_TRUE(reached("0.0.0.0:80", "127.0.0.1:80"));
  EXPECT_TRUE(reached("[::]:80", "[::1]:80"));
  EXPECT_FALSE(reached("127.0.0.1:80", "127.0.0.1:81"));
  EXPECT_FALSE(reached("127.0.0.1:80", "10.0.0.1:80"));
  EXPECT_FALSE(reached("0.0.0.0:80", "10.0.0.1:80"));
  EXPECT_FALSE(reached("0.0.0.0:0", "127.0.0.1:0"));
}

TEST(Networks, HaveNoBitsBehindTheirPrefix) {
  for (const char* right : {"10.0.0.0/8", "0.0.0.0/0", "10.1.2.3", "10.1.2.3/32", "10.128.0.0/9",
                            "::1", "::/0", "fd00::/8", "fe80::/10", "::1/128"}) {
    EXPECT_TRUE(check_network(right)) << right;
  }
  for (const char* wrong :
       {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/8/8",
        "10.0.0.1/8", "10.64.0.0/9", "::1/127", "fd00::/129", "10.0.0/8", "any", "localhost"}) {
    EXPECT_FALSE(check_network(wrong)) << wrong;
  }
}

TEST(Names, AreFitForWhereTheyGo) {
  EXPECT_TRUE(is_header_name("X-Llm-d_1"));
  EXPECT_FALSE(is_header_name("x team"));
  EXPECT_FALSE(is_header_name("x:team"));
  EXPECT_FALSE(is_header_name(std::string(kHeaderNameMax + 1, 'x')));
  EXPECT_TRUE(is_plain_name("gpu-0/rack:1"));
  EXPECT_FALSE(is_plain_name("gpu 0"));
  EXPECT_FALSE(is_plain_name("g\xc3\xbc"));
  EXPECT_FALSE(is_plain_name(""));
  EXPECT_TRUE(is_free_name("Müller & Söhne"));
  EXPECT_FALSE(is_free_name("a\nb"));
  EXPECT_FALSE(is_free_name("\xff"));
  EXPECT_FALSE(is_free_name(std::string(kNameMax + 1, 'x')));
  EXPECT_TRUE(is_sha256(std::string(64, 'A')));
  EXPECT_FALSE(is_sha256(std::string(63, 'a')));
  EXPECT_FALSE(is_sha256(std::string(64, 'g')));
}

}  // namespace
}  // namespace sluice::config
