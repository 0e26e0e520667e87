#include "host/demo/sse.h"

#include <gtest/gtest.h>

namespace sluice::demo {
namespace {

constexpr std::string_view kStream =
    ": a comment\n\ndata: {\"a\":1}\n\nevent: x\r\ndata:{\"text\":\"data: [DONE]\"}\r\n\r\n"
    "data: {\"a much longer event than what is kept of a line\":1}\n\ndata: [DONE]\n\n";

TEST(SseCounter, CountsDataEventsHoweverTheBytesAreCut) {
  for (size_t first = 0; first <= kStream.size(); ++first) {
    SseCounter events;
    events.feed(kStream.substr(0, first));
    events.feed(kStream.substr(first));
    EXPECT_EQ(events.events(), 3u) << first;
    EXPECT_TRUE(events.done()) << first;
  }
}

TEST(SseCounter, IsNotDoneBeforeTheEnd) {
  SseCounter events;
  events.feed(": keep alive\n\n");
  EXPECT_FALSE(events.started());
  events.feed("data: x");
  EXPECT_FALSE(events.started());
  events.feed("\n");
  EXPECT_TRUE(events.started());
  EXPECT_FALSE(events.done());
}

}  // namespace
}  // namespace sluice::demo
