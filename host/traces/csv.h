// One line of CSV as RFC 4180 has it, but for line ends inside quotes.
//
// Complexity: O(bytes); allocates only where a field has doubled quotes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::traces {

// The fields of LINE into FIELDS; how many there are, which may be more than FIELDS takes. They
// live as long as LINE and SCRATCH.
Result<size_t> split_csv(std::string_view line, std::span<std::string_view> fields,
                         std::string& scratch);

}  // namespace sluice::traces
