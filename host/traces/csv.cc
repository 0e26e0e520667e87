#include "host/traces/csv.h"

#include <algorithm>

namespace sluice::traces {
namespace {

// Takes a field in quotes off the front of LINE; what it says has no quotes around it and single
// ones inside.
Result<std::string_view> take_quoted(std::string_view& line, std::string& scratch) {
  const char* begin = scratch.data() + scratch.size();
  size_t at = 1;
  size_t piece = 1;  // where what is not copied yet begins
  while (true) {
    const size_t quote = line.find('"', at);
    if (quote == line.npos) return Error{"a quoted field must end on its own line"};
    if (quote + 1 < line.size() && line[quote + 1] == '"') {
      scratch.append(line.substr(piece, quote + 1 - piece));
      at = piece = quote + 2;
      continue;
    }
    if (quote + 1 < line.size() && line[quote + 1] != ',') {
      return Error{"a comma must follow a quoted field; quotes inside are doubled"};
    }
    std::string_view field = line.substr(piece, quote - piece);
    if (piece != 1) {
      scratch.append(field);
      field = {begin, static_cast<size_t>(scratch.data() + scratch.size() - begin)};
    }
    line.remove_prefix(quote + 1);
    return field;
  }
}

}  // namespace

Result<size_t> split_csv(std::string_view line, std::span<std::string_view> fields,
                         std::string& scratch) {
  scratch.clear();
  if (line.find('"') != line.npos) scratch.reserve(line.size());  // fields point into it
  size_t count = 0;
  while (true) {
    std::string_view field;
    if (line.starts_with('"')) {
      const Result<std::string_view> quoted = take_quoted(line, scratch);
      if (!quoted) return Error{quoted.error()};
      field = quoted.value();
    } else {
      field = line.substr(0, line.find(','));
      line.remove_prefix(field.size());
    }
    if (count < fields.size()) fields[count] = field;
    ++count;
    if (line.empty()) return count;
    line.remove_prefix(1);  // the comma
  }
}

}  // namespace sluice::traces
