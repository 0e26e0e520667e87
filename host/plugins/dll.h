// Loading an image into this process. The one file that knows Boost.DLL.
//
// An image is never unloaded: policies, their functions and their static data stay valid for the
// life of the process. Threads: [control], one at a time.
#pragma once

#include <sluice/abi.h>

#include <string>

#include "host/plugins/unique_fd.h"

namespace sluice::plugins {

struct LoadedImage {
  bool resident = false;                   // in this process for ever, FD too
  const sluice_entry_v1* entry = nullptr;  // null = the reason stands in error
  std::string error;
};

// Loads the file behind FD, with all symbols bound at once and none made visible to others. Once
// the image is resident FD is never closed: the dynamic linker tells images apart by name, and the
// name is made of FD's number.
LoadedImage load_image(UniqueFd& fd);

}  // namespace sluice::plugins
