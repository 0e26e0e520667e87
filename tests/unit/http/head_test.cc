#include "host/http/head.h"

#include <gtest/gtest.h>

#include <random>

#include "host/http/limits.h"
#include "host/net/asio.h"

namespace sluice {
namespace {

std::string request(const std::string& fields,
                    const std::string& line = "POST /v1/completions HTTP/1.1") {
  return line + "\r\n" + fields + "\r\n";
}

int status(const std::string& head) {
  const auto refusal = check_head(head);
  return refusal ? refusal->status : 200;
}

TEST(CheckHead, SoundOnesPass) {
  EXPECT_EQ(status(request("Host: a.example:8080\r\nContent-Length: 5\r\n")), 200);
  EXPECT_EQ(
      status(request(
          "host:\t[::1]:80 \r\nTransfer-Encoding: Chunked\r\nX-Empty:\r\nX-Utf8: \xC3\xA9\r\n")),
      200);
  EXPECT_EQ(status(request("Host: x\r\n", "GET /a?b=c%20d&e=[1] HTTP/1.1")), 200);
  EXPECT_EQ(status(request("", "GET / HTTP/1.0")), 200);
  EXPECT_EQ(status(request("Host: x\r\n", "OPTIONS * HTTP/1.1")), 200);
}

struct BadHead {
  const char* name;
  std::string head;
  int status;
};
class BadHeads : public testing::TestWithParam<BadHead> {};
TEST_P(BadHeads, AreRefused) {
  EXPECT_EQ(status(GetParam().head), GetParam().status) << GetParam().head;
}

INSTANTIATE_TEST_SUITE_P(
    All, BadHeads,
    testing::Values(
        BadHead{"NoHost", request(""), 400},
        BadHead{"TwoHosts", request("Host: a\r\nhost: a\r\n"), 400},
        BadHead{"HostWithPath", request("Host: a/b\r\n"), 400},
        BadHead{"HostWithUser", request("Host: u@a\r\n"), 400},
        BadHead{"HostWithSpace", request("Host: a b\r\n"), 400},
        BadHead{"TwoLengths", request("Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n"),
                400},
        BadHead{"LengthList", request("Host: a\r\nContent-Length: 5, 5\r\n"), 400},
        BadHead{"SignedLength", request("Host: a\r\nContent-Length: +5\r\n"), 400},
        BadHead{"NegativeLength", request("Host: a\r\nContent-Length: -5\r\n"), 400},
        BadHead{"HexLength", request("Host: a\r\nContent-Length: 0x5\r\n"), 400},
        BadHead{"EmptyLength", request("Host: a\r\nContent-Length:\r\n"), 400},
        BadHead{"HugeLength", request("Host: a\r\nContent-Length: 99999999999999999999\r\n"), 413},
        BadHead{"LengthAndChunked",
                request("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
        BadHead{"ChunkedAndLength",
                request("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
        BadHead{"TwoEncodings",
                request("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                400},
        BadHead{"GzipChunked", request("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), 400},
        BadHead{"Identity", request("Host: a\r\nTransfer-Encoding: identity\r\n"), 400},
        BadHead{"HiddenChunked",
                request("Host: a\r\nTransfer-Encoding: \x0b"
                        "chunked\r\n"),
                400},
        BadHead{
            "ChunkedIn10",
            request("Host: a\r\nTransfer-Encoding: chunked\r\n", "POST /v1/completions HTTP/1.0"),
            400},
        BadHead{"SpaceBeforeColon", request("Host: a\r\nContent-Length : 5\r\n"), 400},
        BadHead{"Folded", request("Host: a\r\nX: 1\r\n 2\r\n"), 400},
        BadHead{"FoldedFirst", request(" Host: a\r\n"), 400},
        BadHead{"NoColon", request("Host: a\r\nnonsense\r\n"), 400},
        BadHead{"NoName", request("Host: a\r\n: 5\r\n"), 400},
        BadHead{"BadName", request("Host: a\r\nX(y): 5\r\n"), 400},
        BadHead{"NulInValue", request(std::string("Host: a\r\nX: 1\0", 14) + "2\r\n"), 400},
        BadHead{"CrInValue", request("Host: a\r\nX: 1\r2\r\n"), 400},
        BadHead{"DelInValue", request("Host: a\r\nX: 1\x7f\r\n"), 400},
        BadHead{"Upgrade", request("Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"), 400},
        BadHead{"Connect", request("Host: a\r\n", "CONNECT a:80 HTTP/1.1"), 400},
        BadHead{"AbsoluteForm", request("Host: a\r\n", "POST http://b/v1/completions HTTP/1.1"),
                400},
        BadHead{"RelativePath", request("Host: a\r\n", "POST v1/completions HTTP/1.1"), 400},
        BadHead{"Fragment", request("Host: a\r\n", "GET /a#b HTTP/1.1"), 400},
        BadHead{"SpaceInPath", request("Host: a\r\n", "GET /a b HTTP/1.1"), 400},
        BadHead{"Utf8InPath", request("Host: a\r\n", "GET /\xC3\xA9 HTTP/1.1"), 400},
        BadHead{"TwoSpaces", request("Host: a\r\n", "GET  / HTTP/1.1"), 400},
        BadHead{"NoVersion", request("Host: a\r\n", "GET /"), 400},
        BadHead{"Http09", request("", "GET /x"), 400},
        BadHead{"Http2", request("Host: a\r\n", "PRI * HTTP/2.0"), 505},
        BadHead{"Http12", request("Host: a\r\n", "GET / HTTP/1.2"), 505},
        BadHead{"LowerCaseVersion", request("Host: a\r\n", "GET / http/1.1"), 400},
        BadHead{"BadMethod", request("Host: a\r\n", "G(T / HTTP/1.1"), 400}),
    [](const auto& one) { return one.param.name; });

TEST(CheckHead, TooManyNamesInConnection) {
  std::string names = "a";
  for (size_t i = 2; i < kConnectionNamesMax; ++i) names += ",a";
  const std::string fields = "Host: a\r\nConnection: " + names + "\r\n";
  EXPECT_EQ(status(request(fields + "Connection: b\r\n")), 200);
  EXPECT_EQ(status(request(fields + "Connection: b, c\r\n")), 400);
}

TEST(CheckHead, TooManyHeaders) {
  std::string fields = "Host: a\r\n";
  for (size_t i = 1; i < kRequestHeadersMax; ++i) fields += "X: y\r\n";
  EXPECT_EQ(status(request(fields)), 200);
  EXPECT_EQ(status(request(fields + "X: y\r\n")), 431);
}

// What our check lets Beast see must not be refused by it for what it is, and what Beast is lax
// about is ours to refuse.
bool beast_takes(const std::string& head) {
  http::request_parser<http::buffer_body> parser;
  parser.header_limit(1 << 20);
  parser.body_limit(UINT64_MAX);
  ErrorCode ec;
  parser.put(asio::buffer(head), ec);
  return !ec && parser.is_header_done();
}

TEST(Beast, IsLaxWhereTheCheckIsStrict) {
  EXPECT_TRUE(beast_takes(request("Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n")));
  EXPECT_TRUE(beast_takes(request("Host: a\r\nContent-Length: 5, 5\r\n")));
  EXPECT_TRUE(beast_takes(request("Host: a\r\nHost: b\r\n")));
  EXPECT_TRUE(beast_takes(request("Host: a\r\nX: 1\r\n 2\r\n")));
  EXPECT_TRUE(beast_takes(request("Host: a\r\n", "POST http://b/ HTTP/1.1")));
  EXPECT_TRUE(beast_takes(request("")));
}

TEST(Beast, RefusesTheseItself) {
  EXPECT_FALSE(beast_takes(request("Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n")));
  EXPECT_FALSE(
      beast_takes(request("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n")));
  EXPECT_FALSE(beast_takes(request("Host: a\r\nContent-Length : 5\r\n")));
  EXPECT_FALSE(beast_takes("GET / HTTP/1.1\nHost: a\n\n"));
}

TEST(HeadScan, FindsTheEndHoweverItComes) {
  const std::string head = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string all = head + "GET /next";
  for (size_t step = 1; step <= all.size(); ++step) {
    HeadScan scan;
    HeadScan::State state = HeadScan::State::kMore;
    size_t n = 0;
    while (state == HeadScan::State::kMore && n < all.size()) {
      n = std::min(all.size(), n + step);
      state = scan.scan(std::string_view(all).substr(0, n));
    }
    ASSERT_EQ(state, HeadScan::State::kDone) << step;
    EXPECT_EQ(scan.begin(), 4u);
    EXPECT_EQ(scan.end(), head.size());
  }
}

TEST(HeadScan, BareLineFeedsAreBad) {
  for (const std::string text : {"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n",
                                 "GET / HTTP/1.1\r\n\n", "\r\n\r\n\r\n\r\n\r\n\r\n"}) {
    HeadScan scan;
    EXPECT_EQ(scan.scan(text), HeadScan::State::kBad) << text;
  }
  HeadScan scan;
  EXPECT_EQ(scan.scan("GET / HTTP/1.1\r\nHost: a\r"), HeadScan::State::kMore);
}

// Mutated heads: no crash, and what passes the check means the same to Beast: one Host, one
// framing, the same target.
TEST(CheckHead, WhatPassesIsUnambiguous) {
  const std::string seeds[] = {
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nX-A: b\r\n\r\n",
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: "
      "close\r\n\r\n",
      "GET /v1/models?x=y HTTP/1.0\r\nAccept: */*\r\n\r\n"};
  constexpr std::string_view kPieces[] = {"\r\n",
                                          "\n",
                                          "\r",
                                          " ",
                                          "\t",
                                          ":",
                                          "Content-Length: 3\r\n",
                                          "Host: b\r\n",
                                          "Transfer-Encoding: chunked\r\n",
                                          ",",
                                          "chunked",
                                          "\x00",
                                          "\x7f",
                                          "0",
                                          "HTTP/1.1"};
  std::mt19937_64 random(9);
  int passed = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = seeds[round % 3];
    for (uint64_t edits = random() % 4; edits > 0; --edits) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0) {
        text.erase(at, 1 + random() % 3);
      } else {
        text.insert(at, kPieces[random() % std::size(kPieces)]);
      }
      if (text.empty()) text = "x";
    }
    HeadScan scan;
    if (scan.scan(text) != HeadScan::State::kDone) continue;
    const std::string head = text.substr(scan.begin(), scan.end() - scan.begin());
    if (check_head(head)) continue;
    http::request_parser<http::buffer_body> parser;
    parser.body_limit(UINT64_MAX);
    ErrorCode ec;
    const size_t used = parser.put(asio::buffer(head), ec);
    if (ec) continue;
    ++passed;
    ASSERT_TRUE(parser.is_header_done()) << head;
    ASSERT_EQ(used, head.size()) << head;
    const auto& message = parser.get();
    ASSERT_LE(message.count(http::field::host), 1u) << head;
    ASSERT_LE(
        message.count(http::field::content_length) + message.count(http::field::transfer_encoding),
        1u)
        << head;
    ASSERT_EQ(parser.chunked(), message.count(http::field::transfer_encoding) == 1) << head;
    ASSERT_NE(head.find(" " + std::string(message.target()) + " HTTP/1."), head.npos) << head;
  }
  EXPECT_GT(passed, 5000);
}

}  // namespace
}  // namespace sluice
