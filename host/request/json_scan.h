// A byte-by-byte reader of one JSON text that knows where it is and remembers only what Sluice
// looks for.
//
// Built for answers of model servers, which come in chunks cut anywhere: it never needs the whole
// text and never fails; in text that is not JSON it finds nothing. It looks at `model` and `usage`,
// at the top or in `response`, at how `type` ends, and at whether `choices` is empty. Threads: one
// at a time.
// Complexity: O(1) a byte, constant memory, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

struct TokenUsage {
  bool seen = false;  // there was a usage object with counts in it
  uint32_t prompt = 0, cached = 0, output = 0;
};

class JsonScan {
 public:
  // What the byte just given is part of, as far as one who replaces the model's name must know.
  enum class Place : uint8_t {
    kElsewhere,
    kModelOpen,   // the opening quote of a model's name
    kModel,       // inside the name
    kModelClose,  // its closing quote
  };

  Place next(char c, TokenUsage& usage);
  // How many bytes at the front of TEXT next() would not learn from: they may be left out.
  size_t skippable(std::string_view text) const;

  bool begun() const { return nodes_[1] == Node::kTop; }  // the text is an object
  bool choices_empty() const { return choices_empty_; }   // `choices` is []
  // `type` ends in ".delta".
  bool is_delta() const;
  bool usage_here() const { return usage_here_; }  // there was a usage object with counts in it

 private:
  // The containers that matter; every array and every other object is kOther.
  enum class Node : uint8_t { kOther, kTop, kResponse, kUsage, kDetails };
  enum class Key : uint8_t {
    kOther,
    kModel,
    kResponse,
    kUsage,
    kChoices,
    kType,
    kDetails,
    kPrompt,
    kOutput,
    kCached
  };
  enum class String : uint8_t { kNone, kName, kModel, kType, kOther };
  static constexpr uint32_t kDepthMax = 4;  // response.usage.prompt_tokens_details
  static constexpr size_t kKeyMax = 32;

  Node node() const { return depth_ <= kDepthMax ? nodes_[depth_] : Node::kOther; }
  Place in_string(char c);
  Place open_string();
  void open(Node child);
  Node child_of(Node parent) const;
  void end_number(TokenUsage& usage);
  Key read_key() const;

  std::array<Node, kDepthMax + 1> nodes_{};  // by depth; [0] is outside of everything
  uint32_t depth_ = 0;
  bool closed_ = false;  // the top object is over
  String string_ = String::kNone;
  bool escaped_ = false;     // the byte before was a backslash, in a string
  bool name_next_ = false;   // a string that begins now is a member's name
  bool value_next_ = false;  // a value that begins now is the one of `key_`
  Key key_ = Key::kOther;
  bool number_open_ = false;
  uint64_t number_ = 0;
  bool choices_open_ = false;  // the byte before, blanks aside, opened `choices`
  bool choices_empty_ = false, usage_here_ = false;
  uint64_t type_tail_ = 0;  // the last bytes of `type`
  std::array<char, kKeyMax> name_{};
  size_t name_size_ = 0;  // kKeyMax + 1: too long to be one of ours
};

}  // namespace sluice
