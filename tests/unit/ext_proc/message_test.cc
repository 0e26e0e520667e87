// Messages against Protobuf's own reading and writing of them.
#include "host/ext_proc/message.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/ext_proc/rig.h"

namespace sluice::ext_proc {
namespace {

std::string text_of(const Pieces& pieces) {
  std::string text;
  pieces.append_to(text);
  return text;
}

std::string text_of(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(message.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

// BYTES cut into slices of SIZE.
grpc::ByteBuffer cut(const std::string& bytes, size_t size) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += size) slices.emplace_back(bytes.substr(at, size));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

bool decodes(Incoming& incoming, grpc::ByteBuffer bytes) { return incoming.decode(bytes); }

RC_GTEST_PROP(Incoming, ReadsBodiesInWhateverSlices, ()) {
  const auto body = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const bool end = *rc::gen::arbitrary<bool>(), of_request = *rc::gen::arbitrary<bool>();
  const size_t size = *rc::gen::inRange<size_t>(1, 40);
  pb::ProcessingRequest message = of_request ? request_body(body, end) : response_body(body, end);
  if (*rc::gen::arbitrary<bool>()) message = with_subset(message, {"10.0.0.1"});
  Incoming incoming;
  RC_ASSERT(decodes(incoming, cut(message.SerializeAsString(), size)));
  RC_ASSERT(incoming.kind == message.request_case());
  RC_ASSERT(text_of(incoming.body) == body);
  RC_ASSERT(incoming.end_of_stream == end);
  RC_ASSERT(incoming.rest->has_metadata_context() == message.has_metadata_context());
}

RC_GTEST_PROP(Incoming, AnswersAnyBytes, ()) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  Incoming incoming;
  pb::ProcessingRequest message;
  // What Protobuf takes is taken here, and nothing else: but for text that is no UTF-8, which it
  // looks for in fields that are not looked at.
  const bool taken = decodes(incoming, cut(bytes, 7));
  if (message.ParseFromString(bytes)) RC_ASSERT(taken);
  if (taken && incoming.body.bytes == 0) RC_ASSERT(message.ParseFromString(bytes));
}

TEST(Incoming, TakesTheLastOfSeveralAndRefusesWhatIsCutOff) {
  std::string bytes = request_body("first", true).SerializeAsString();
  bytes += response_body("second", false).SerializeAsString();
  Incoming incoming;
  ASSERT_TRUE(decodes(incoming, cut(bytes, 100)));
  EXPECT_EQ(incoming.kind, pb::ProcessingRequest::kResponseBody);
  EXPECT_EQ(text_of(incoming.body), "second");
  EXPECT_FALSE(incoming.end_of_stream);
  for (size_t size = 1; size < bytes.size(); ++size) {
    if (size == request_body("first", true).ByteSizeLong()) continue;
    Incoming part;
    EXPECT_FALSE(decodes(part, cut(bytes.substr(0, size), 100))) << size;
  }
}

TEST(Incoming, ReadsHeadersByEitherOfTheirValues) {
  pb::ProcessingRequest message = request_headers({{":path", "/x"}}, true);
  auto& old = *message.mutable_request_headers()->mutable_headers()->add_headers();
  old.set_key("a");
  old.set_value("b");
  Incoming incoming;
  ASSERT_TRUE(decodes(incoming, cut(message.SerializeAsString(), 3)));
  const auto headers = incoming.headers();
  ASSERT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].value, "/x");
  EXPECT_EQ(headers[1].value, "b");
  EXPECT_TRUE(incoming.end_of_stream);
}

RC_GTEST_PROP(Outgoing, ChunksAreWhatProtobufReads, ()) {
  const auto body = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  const bool end = *rc::gen::arbitrary<bool>(), of_request = *rc::gen::arbitrary<bool>();
  pb::ProcessingResponse expected, response;
  auto& chunk = *(of_request ? expected.mutable_request_body() : expected.mutable_response_body())
                     ->mutable_response()
                     ->mutable_body_mutation()
                     ->mutable_streamed_response();
  chunk.set_body(body);
  chunk.set_end_of_stream(end);
  RC_ASSERT(text_of(encode_chunk(of_request, Pieces::of(body), end)) ==
            expected.SerializeAsString());
}

TEST(Outgoing, BodiesAreReplacedClearedOrLeft) {
  pb::ProcessingResponse response;
  ASSERT_TRUE(response.ParseFromString(text_of(encode_body(true, true, Pieces::of("new")))));
  EXPECT_EQ(response.request_body().response().body_mutation().body(), "new");
  ASSERT_TRUE(response.ParseFromString(text_of(encode_body(false, true, {}))));
  EXPECT_TRUE(response.response_body().response().body_mutation().clear_body());
  ASSERT_TRUE(response.ParseFromString(text_of(encode_body(false, false, {}))));
  EXPECT_TRUE(response.has_response_body());
  EXPECT_FALSE(response.response_body().response().has_body_mutation());
}

TEST(Pieces, AreTakenFromTheFront) {
  Pieces pieces;
  for (const char* text : {"abc", "", "defgh", "i"}) pieces.add(grpc::Slice(std::string(text)));
  EXPECT_EQ(text_of(pieces.take(4)), "abcd");
  EXPECT_EQ(pieces.bytes, 5u);
  EXPECT_EQ(text_of(pieces.take(4)), "efgh");
  EXPECT_EQ(text_of(pieces.take(1)), "i");
  EXPECT_EQ(pieces.bytes, 0u);
}

TEST(Pieces, HoldABodyAndItsEdits) {
  BodyEdits edits;
  edits.replace({1, 2}, "--");
  edits.replace({4, 0}, "!");
  Pieces pieces = Pieces::of("abcdef", std::move(edits));
  EXPECT_EQ(text_of(pieces), "a--d!ef");
  Pieces front = pieces.take(3);
  pieces = {};
  EXPECT_EQ(text_of(front), "a--");
}

}  // namespace
}  // namespace sluice::ext_proc
