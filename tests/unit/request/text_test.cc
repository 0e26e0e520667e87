#include "host/request/text.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

namespace sluice {
namespace {

// What a conforming parser makes of TEXT, written by us.
std::string round_trip(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  simdjson::dom::parser parser;
  std::string_view out;
  const auto error = parser.parse(json).get(out);
  EXPECT_FALSE(error) << json;
  return std::string(out);
}

TEST(JsonString, EveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'a', static_cast<char>(byte), 'z'};
    EXPECT_EQ(round_trip(text), byte < 0x80 ? text : "a\xEF\xBF\xBDz") << byte;
  }
}

TEST(JsonString, Utf8PassesAndNothingElse) {
  for (const std::string text : {"é", "€", "😀", "\xF4\x8F\xBF\xBF", "\xEE\x80\x80", ""}) {
    EXPECT_EQ(round_trip(text), text);
  }
  for (const std::string_view text :
       {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xF0\x9F\x98", "\x80"}) {
    EXPECT_NE(round_trip(text), text);
  }
}

TEST(JsonString, AnyBytesGiveValidJson) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 12, '\0');
    for (char& c : text) c = static_cast<char>(random());
    round_trip(text);
  }
}

TEST(JsonString, UnescapeReadsWhatEscapeWrites) {
  for (const std::string text : {"a\"b\\c/\n\t\x01", "é😀", "plain"}) {
    std::string json, back;
    append_json_string(json, text);
    ASSERT_TRUE(append_unescaped(back, std::string_view(json).substr(1, json.size() - 2)));
    EXPECT_EQ(back, text);
  }
  std::string out;
  EXPECT_TRUE(append_unescaped(out, R"(a\/b\u00e9\ud83d\ude00\b\f\r)"));
  EXPECT_EQ(out, "a/bé😀\b\f\r");
  for (const char* bad :
       {"\\", "\\q", "\\u12", "\\u12g4", "\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\u0041"}) {
    EXPECT_FALSE(append_unescaped(out, bad)) << bad;
  }
}

TEST(Models, AreListedAsOpenAiDoes) {
  const std::vector<std::string> names = {"a", "b\"c"};
  simdjson::dom::parser parser;
  const simdjson::padded_string json(models_json(names));
  const auto list = parser.parse(json);
  EXPECT_EQ(std::string_view(list["object"]), "list");
  EXPECT_EQ(std::string_view(list["data"].at(1)["id"]), "b\"c");
  EXPECT_EQ(std::string_view(list["data"].at(0)["object"]), "model");
  EXPECT_EQ(models_json({}), R"({"object":"list","data":[]})");
}

}  // namespace
}  // namespace sluice
