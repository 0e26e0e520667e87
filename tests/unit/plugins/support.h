// A plugin directory of a test's own, filled with fixtures (bad/*.c) under any names.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "host/plugins/loader.h"

namespace sluice::plugins {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(SLUICE_FIXTURES) / (name + ".so");
}

inline std::vector<uint8_t> read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::filesystem::path& file, const std::vector<uint8_t>& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-plugins-XXXXXX").string();
    path_ = std::filesystem::canonical(::mkdtemp(name.data()));
    set_mode(path_, 0755);
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Overwrites in place, as `cp` does.
  std::filesystem::path put(const std::string& fixture_name, const std::string& as) const {
    return put(read_bytes(fixture(fixture_name)), as);
  }
  std::filesystem::path put(const std::vector<uint8_t>& bytes, const std::string& as) const {
    const auto file = path_ / as;
    write_bytes(file, bytes);
    set_mode(file, 0644);
    return file;
  }

  static void set_mode(const std::filesystem::path& path, unsigned mode) {
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
  }

  SearchPath search() const { return SearchPath{{path_}, false, {}}; }

 private:
  std::filesystem::path path_;
};

// `use = NAME` at line 3, column 5.
inline config::PolicyUse use(const std::string& name, std::vector<config::ParamValue> params = {}) {
  config::PolicyUse use;
  const size_t slash = name.find('/');
  use.package = name.substr(0, slash);
  use.name = name.substr(slash + 1);
  use.params = std::move(params);
  use.at = {3, 5};
  return use;
}

// Everything that DIAGNOSTICS hold, hints too.
inline std::string text_of(const config::Diagnostics& diagnostics) {
  std::string text;
  for (const config::Diagnostic& one : diagnostics.all())
    text += std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + ": " + one.message +
            " | " + one.hint + "\n";
  return text;
}

}  // namespace sluice::plugins
