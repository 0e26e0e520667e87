// What a person reads in the terminal after a run: the figures as a table, a column a run, and for
// each later run whether it is worse or better than the first.
//
// Threads: any. Text from outside is made fit for a terminal, names are cut.
#pragma once

#include <string>
#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

// Ends with a line feed; "" of no runs.
std::string summary_text(const std::vector<RunResult>& runs);

}  // namespace sluice::simulate
