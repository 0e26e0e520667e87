// report.html: one page that stands by itself, with what was found out in one sentence, pictures
// that show it, and every figure.
//
// No script, nothing from elsewhere; light, dark and paper. Text from outside is escaped. At most
// kRunsMax runs and some hundred KB a run.
// Threads: any.
#pragma once

#include <string>
#include <vector>

#include "host/simulate/result.h"

namespace sluice::simulate {

std::string report_html(const std::vector<RunResult>& runs);

}  // namespace sluice::simulate
