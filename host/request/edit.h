// A body with some values replaced: the body itself is kept as it came, the edits say where it
// differs.
//
// What goes upstream is a list of pieces for one gathering write, so a body is never copied. No
// edits, no difference. Threads: values. Ownership: owns its texts; pieces point into the body and
// into the edits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/request/classify.h"

namespace sluice {

class BodyEdits {
 public:
  // Replaces what stands at SPAN of the body by TEXT. Spans must not overlap.
  void replace(Span span, std::string text);
  bool empty() const { return edits_.empty(); }

  // The size of BODY with these edits.
  size_t size(std::string_view body) const;
  // Appends the pieces of BODY with these edits to OUT.
  void pieces(std::string_view body, std::vector<std::string_view>& out) const;
  std::string apply(std::string_view body) const;

 private:
  struct Edit {
    Span span;
    std::string text;
  };
  std::vector<Edit> edits_;  // by offset
};

// The target's name instead of the incoming one; nothing if they are the same.
void edit_model(const RequestFacts& facts, std::string_view target, BodyEdits& edits);
// Asks a stream for its usage. Returns false and does nothing where that is not needed or not
// possible: then the client asked itself, does not stream, or calls an API that says its usage
// unasked.
bool edit_usage(const RequestFacts& facts, BodyEdits& edits);

}  // namespace sluice
