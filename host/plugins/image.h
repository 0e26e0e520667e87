// A plugin file as it was at one moment: checked, hashed and copied to where nobody can change it.
//
// The file is opened once; what is hashed is what is copied into a sealed memfd, and only that copy
// is ever described or loaded. So a file may be replaced or overwritten at any time without harm to
// a host that runs it.
//
// Rules: a regular file whose real path (after symbolic links) lies inside the plugin directory; it
// and every directory from there up to the plugin directory belong to root or to the user that runs
// the host, and nobody else may write to them (no group or world write bit); at most kFileBytesMax.
// Threads: [any]. Owns the copy until destroyed.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "host/plugins/info.h"
#include "host/plugins/unique_fd.h"

namespace sluice::plugins {

struct Image {
  std::filesystem::path path;  // as found in its directory
  UniqueFd copy;               // sealed; invalid if the file could not be read
  std::string sha256;
  uint64_t size = 0;
  std::optional<Refusal> refusal;      // a rule that it breaks
  std::vector<std::string> libraries;  // that it needs beyond the usual ones
};

// Copies FILE of DIRECTORY (empty = wherever it lies) and checks what can be checked without
// running it. At most BYTES_MAX are copied.
Image open_image(const std::filesystem::path& file, const std::filesystem::path& directory,
                 uint64_t bytes_max);

// Why a file that is really at REAL may not be used as one of DIRECTORY, whatever it holds.
std::optional<Refusal> check_place(const std::filesystem::path& real,
                                   const std::filesystem::path& directory);

// True if the bytes of IMAGE hold NAME as a C string: all that can be known of a file that may not
// be described.
bool mentions(const Image& image, std::string_view name);

}  // namespace sluice::plugins
