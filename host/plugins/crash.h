// Names the plugin in which the process crashes: one last line on standard error, and then the
// signal ends the process as it would have.
//
// Costs nothing until then: the handler looks for the code that crashed, or that called what
// crashed, in a table of the images that were loaded. A crash outside of them is not its business.
// Threads: install once at the start; name_image [control]; the handler is async-signal-safe.
// Limit: kCrashNamesMax images; those beyond it crash unnamed, and so does one whose stack has
// overflowed.
#pragma once

#include <string>

namespace sluice::plugins {

// A signal that somebody handles already (a sanitizer) is left to them.
void install_crash_handler();

// From now on a crash in the image that holds ADDRESS is told as one in NAME.
void name_image(const void* address, const std::string& name);

}  // namespace sluice::plugins
