// What the ext_proc server takes from the configuration, as one immutable value that a reload
// replaces.
#pragma once

#include "host/transport/settings.h"

namespace sluice {

struct ExtProcSettings : TransportSettings {
  uint32_t max_endpoints = 1;  // in a pick
  bool scores = false;         // in its metadata
};

}  // namespace sluice
