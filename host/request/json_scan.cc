#include "host/request/json_scan.h"

#include <algorithm>

namespace sluice {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool JsonScan::is_delta() const {
  uint64_t delta = 0;
  for (const char c : std::string_view(".delta")) delta = delta << 8 | static_cast<uint8_t>(c);
  return type_tail_ << 16 == delta << 16;
}

JsonScan::Place JsonScan::next(char c, TokenUsage& usage) {
  if (string_ != String::kNone) return in_string(c);
  if (is_blank(c) && !number_open_) return Place::kElsewhere;
  if (number_open_) {
    if (is_digit(c)) {
      number_ = std::min<uint64_t>(number_ * 10 + static_cast<uint64_t>(c - '0'), UINT32_MAX);
      return Place::kElsewhere;
    }
    number_open_ = false;
    if (c == ',' || c == '}' || is_blank(c)) end_number(usage);
    if (is_blank(c)) return Place::kElsewhere;
  }
  const bool after_choices = choices_open_;
  choices_open_ = false;
  switch (c) {
    case '"':
      return open_string();
    case '{':
      open(child_of(node()));
      break;
    case '[':
      choices_open_ = value_next_ && key_ == Key::kChoices && node() == Node::kTop;
      open(Node::kOther);
      break;
    case ']':
      if (after_choices) choices_empty_ = true;
      [[fallthrough]];
    case '}':
      if (depth_ > 0 && --depth_ == 0) closed_ = true;
      name_next_ = value_next_ = false;
      break;
    case ',':
      name_next_ = node() != Node::kOther;
      value_next_ = false;
      break;
    case ':':
      value_next_ = node() != Node::kOther;
      break;
    default:
      if (value_next_ && is_digit(c) && (node() == Node::kUsage || node() == Node::kDetails)) {
        number_open_ = true;
        number_ = static_cast<uint64_t>(c - '0');
      }
      value_next_ = false;
      break;
  }
  return Place::kElsewhere;
}

size_t JsonScan::skippable(std::string_view text) const {
  size_t n = 0;
  if (string_ == String::kOther && !escaped_) {
    while (n < text.size() && text[n] != '"' && text[n] != '\\') ++n;
  } else if (string_ == String::kNone && node() == Node::kOther && depth_ > 0 && !choices_open_) {
    // Only what opens or closes something tells more: 0x22, 0x5B, 0x5D, 0x7B and 0x7D.
    while (n < text.size() && text[n] != '"' && (text[n] | 0x20) != '{' && (text[n] | 0x20) != '}')
      ++n;
  }
  return n;
}

JsonScan::Place JsonScan::in_string(char c) {
  if (string_ == String::kName) {
    if (c == '"' && !escaped_) {
      key_ = read_key();
      string_ = String::kNone;
      return Place::kElsewhere;
    }
    // A name with an escape in it is none of ours: it stays too long.
    if (c == '\\') name_size_ = kKeyMax + 1;
    if (name_size_ < kKeyMax) {
      name_[name_size_++] = c;
    } else {
      name_size_ = kKeyMax + 1;
    }
    escaped_ = c == '\\' && !escaped_;
    return Place::kElsewhere;
  }
  const bool model = string_ == String::kModel;
  if (c == '"' && !escaped_) {
    string_ = String::kNone;
    return model ? Place::kModelClose : Place::kElsewhere;
  }
  if (string_ == String::kType) type_tail_ = type_tail_ << 8 | static_cast<uint8_t>(c);
  escaped_ = c == '\\' && !escaped_;
  return model ? Place::kModel : Place::kElsewhere;
}

JsonScan::Place JsonScan::open_string() {
  escaped_ = false;
  if (name_next_) {
    string_ = String::kName;
    name_size_ = 0;
    name_next_ = false;
    return Place::kElsewhere;
  }
  const bool model =
      value_next_ && key_ == Key::kModel && (node() == Node::kTop || node() == Node::kResponse);
  string_ = model ? String::kModel : String::kOther;
  if (value_next_ && key_ == Key::kType && node() == Node::kTop) {
    string_ = String::kType;
    type_tail_ = 0;
  }
  value_next_ = false;
  return model ? Place::kModelOpen : Place::kElsewhere;
}

void JsonScan::open(Node child) {
  if (closed_) child = Node::kOther;
  ++depth_;
  if (depth_ <= kDepthMax) nodes_[depth_] = child;
  name_next_ = child != Node::kOther;
  value_next_ = false;
}

JsonScan::Node JsonScan::child_of(Node parent) const {
  if (depth_ == 0) return Node::kTop;
  if (!value_next_) return Node::kOther;
  const bool root = parent == Node::kTop || parent == Node::kResponse;
  if (parent == Node::kTop && key_ == Key::kResponse) return Node::kResponse;
  if (root && key_ == Key::kUsage) return Node::kUsage;
  if (parent == Node::kUsage && key_ == Key::kDetails) return Node::kDetails;
  return Node::kOther;
}

void JsonScan::end_number(TokenUsage& usage) {
  const uint32_t count = static_cast<uint32_t>(number_);
  if (node() == Node::kDetails) {
    if (key_ == Key::kCached) usage.cached = count;
    return;
  }
  if (key_ == Key::kPrompt) {
    usage.prompt = count;
  } else if (key_ == Key::kOutput) {
    usage.output = count;
  } else {
    return;
  }
  usage.seen = usage_here_ = true;
}

JsonScan::Key JsonScan::read_key() const {
  struct Name {
    std::string_view text;
    Key key;
  };
  static constexpr Name kNames[] = {
      {"model", Key::kModel},
      {"response", Key::kResponse},
      {"usage", Key::kUsage},
      {"choices", Key::kChoices},
      {"type", Key::kType},
      {"prompt_tokens_details", Key::kDetails},
      {"input_tokens_details", Key::kDetails},
      {"prompt_tokens", Key::kPrompt},
      {"input_tokens", Key::kPrompt},
      {"completion_tokens", Key::kOutput},
      {"output_tokens", Key::kOutput},
      {"cached_tokens", Key::kCached},
  };
  if (name_size_ > kKeyMax) return Key::kOther;
  const std::string_view text(name_.data(), name_size_);
  const auto* const found = std::find_if(std::begin(kNames), std::end(kNames),
                                         [&](const Name& name) { return name.text == text; });
  return found == std::end(kNames) ? Key::kOther : found->key;
}

}  // namespace sluice
