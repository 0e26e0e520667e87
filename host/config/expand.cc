#include "host/config/expand.h"

#include <algorithm>

#include "host/config/limits.h"
#include "host/config/text.h"

namespace sluice::config {
namespace {

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9');
  });
}

// What stands between "${" and "}".
Result<std::string> fill_in(std::string_view reference, const Lookup& lookup) {
  const size_t split = reference.find(":-");
  const std::string_view name = reference.substr(0, split);
  if (!is_variable_name(name)) {
    return Error{quote(name) + " is not the name of a variable"};
  }
  const char* value = lookup(std::string(name));
  if (split == std::string_view::npos) {
    if (value == nullptr) return Error{"the variable " + quote(name) + " is not set"};
    return std::string(value);
  }
  const std::string_view standard = reference.substr(split + 2);
  if (standard.find("${") != std::string_view::npos) {
    return Error{"the default of " + quote(name) + " holds another ${"};
  }
  return value != nullptr && *value != '\0' ? std::string(value) : std::string(standard);
}

}  // namespace

Result<std::string> expand(std::string_view text, const Lookup& lookup) {
  std::string out;
  while (true) {
    const size_t dollar = text.find("${");
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    if (dollar != 0 && text[dollar - 1] == '$') {  // "$${": one '$' is already there
      out += '{';
      text.remove_prefix(dollar + 2);
      continue;
    }
    text.remove_prefix(dollar + 2);
    const size_t end = text.find('}');
    if (end == std::string_view::npos) return Error{"a ${ has no closing }"};
    Result<std::string> value = fill_in(text.substr(0, end), lookup);
    if (!value) return Error{value.error()};
    out += *value;
    if (out.size() > kExpandedMax)
      return Error{"the text is too long once its variables are filled in"};
    text.remove_prefix(end + 1);
  }
}

}  // namespace sluice::config
