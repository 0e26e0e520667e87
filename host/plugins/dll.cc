#include "host/plugins/dll.h"

#include <dlfcn.h>
#include <fmt/format.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace sluice::plugins {

namespace dll = boost::dll;

LoadedImage load_image(UniqueFd& fd) {
  // Reachable for ever and never destroyed, so that no handle is ever closed.
  static auto* const resident = new std::vector<dll::shared_library>;
  const std::string path = fmt::format("/proc/self/fd/{}", fd.get());
  std::error_code error;
  dll::shared_library library(std::filesystem::path(path), error,
                              dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  LoadedImage image;
  if (error) {
    const char* reason = ::dlerror();
    image.error = reason != nullptr ? reason : error.message();
    if (image.error.starts_with(path + ": ")) image.error.erase(0, path.size() + 2);
    return image;
  }
  fd.release();
  image.resident = true;
  if (library.has(SLUICE_ENTRY_SYMBOL))
    image.entry = &library.get<const sluice_entry_v1>(SLUICE_ENTRY_SYMBOL);
  else
    image.error = "the dynamic linker does not find " SLUICE_ENTRY_SYMBOL;
  resident->push_back(std::move(library));
  return image;
}

}  // namespace sluice::plugins
