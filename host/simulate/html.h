// Small things that the parts of report.html share.
//
// The markup is well-formed XML as well, so that any parser can check it.
#pragma once

#include <string>
#include <string_view>

namespace sluice::simulate {

// TEXT as the content of an element or an attribute; nothing in it is markup.
std::string escaped(std::string_view text);

// TEXT cut to COUNT characters, with an ellipsis if it was longer. Not yet escaped.
std::string shortened(std::string_view text, size_t count);

// A coordinate with at most one decimal: "12.5", "3".
std::string coordinate(double value);

}  // namespace sluice::simulate
