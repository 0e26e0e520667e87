#include "host/request/edit.h"

#include <algorithm>

#include "host/request/text.h"

namespace sluice {

void BodyEdits::replace(Span span, std::string text) {
  const auto at = std::find_if(edits_.begin(), edits_.end(),
                               [&](const Edit& edit) { return edit.span.offset > span.offset; });
  edits_.insert(at, Edit{span, std::move(text)});
}

size_t BodyEdits::size(std::string_view body) const {
  size_t size = body.size();
  for (const Edit& edit : edits_) size += edit.text.size() - edit.span.length;
  return size;
}

void BodyEdits::pieces(std::string_view body, std::vector<std::string_view>& out) const {
  const auto add = [&out](std::string_view piece) {
    if (!piece.empty()) out.push_back(piece);
  };
  size_t done = 0;
  for (const Edit& edit : edits_) {
    add(body.substr(done, edit.span.offset - done));
    add(edit.text);
    done = edit.span.offset + edit.span.length;
  }
  add(body.substr(done));
}

std::string BodyEdits::apply(std::string_view body) const {
  std::vector<std::string_view> parts;
  pieces(body, parts);
  std::string out;
  out.reserve(size(body));
  for (std::string_view part : parts) out += part;
  return out;
}

void edit_model(const RequestFacts& facts, std::string_view target, BodyEdits& edits) {
  if (target == facts.model) return;
  std::string text;
  append_json_string(text, target);
  edits.replace(facts.model_value, std::move(text));
}

bool edit_usage(const RequestFacts& facts, BodyEdits& edits) {
  const bool can = facts.api == Api::kChat || facts.api == Api::kCompletions;
  if (!can || !facts.stream || facts.usage_asked) return false;
  if (!facts.stream_options) {
    edits.replace({facts.object_start + 1, 0}, R"("stream_options":{"include_usage":true},)");
  } else if (!facts.stream_options_object) {
    edits.replace(*facts.stream_options, R"({"include_usage":true})");
  } else if (facts.include_usage) {
    edits.replace(*facts.include_usage, "true");
  } else {
    edits.replace({facts.stream_options->offset + 1, 0}, facts.stream_options_empty
                                                             ? R"("include_usage":true)"
                                                             : R"("include_usage":true,)");
  }
  return true;
}

}  // namespace sluice
