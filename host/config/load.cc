// What reads files: pipeline.toml itself, and files that hold endpoints alone.
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/limits.h"
#include "host/config/config.h"
#include "host/config/document.h"
#include "host/config/limits.h"
#include "host/config/reader.h"
#include "host/config/sections.h"

namespace sluice::config {

std::optional<std::string> read_text(const std::filesystem::path& file, Diagnostics& diagnostics) {
  diagnostics.set_source(file.string(), "");
  std::error_code unknown;
  if (std::filesystem::is_directory(file, unknown)) {
    diagnostics.error({}, "this is a directory, not a file");
    return std::nullopt;
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) {
    text.resize(kFileBytesMax + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(stream.gcount()));
  }
  if (!stream && !stream.eof()) {
    diagnostics.error({}, fmt::format("the file cannot be read: {}", std::strerror(errno)));
    return std::nullopt;
  }
  return text;
}

Source source_of(const std::filesystem::path& file, Diagnostics& diagnostics) {
  std::error_code no_working_directory;
  return {diagnostics, std::filesystem::absolute(file, no_working_directory).parent_path(),
          [](const std::string& name) { return std::getenv(name.c_str()); }};
}

std::optional<Config> load(const std::filesystem::path& file, Diagnostics& diagnostics) {
  auto config = load_partly(file, diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;
  return config;
}

std::optional<Config> load_partly(const std::filesystem::path& file, Diagnostics& diagnostics) {
  const std::optional<std::string> text = read_text(file, diagnostics);
  return text ? parse_partly(*text, file, diagnostics) : std::nullopt;
}

std::optional<std::vector<Endpoint>> load_endpoints(const std::filesystem::path& file,
                                                    Diagnostics& diagnostics) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {  // a pipe would block
    diagnostics.set_source(file.string(), "");
    diagnostics.error({}, "not there, or not a regular file",
                      "an empty file means no endpoints yet");
    return std::nullopt;
  }
  const std::optional<std::string> text = read_text(file, diagnostics);
  if (!text) return std::nullopt;
  diagnostics.set_source(file.string(), text->substr(0, kFileBytesMax));
  const std::optional<toml::table> document = read_document(*text, diagnostics);
  if (!document) return std::nullopt;
  Source source = source_of(file, diagnostics);
  TableReader root(*document, "", "", kFileStart, source);

  std::vector<TableReader> tables = root.tables("endpoints", kEndpointsMax);
  if (auto pool = root.table("pool")) {
    for (TableReader& table : pool->tables("endpoints", kEndpointsMax)) tables.push_back(table);
    pool->finish();
  }
  std::vector<Endpoint> endpoints = read_endpoints(tables);
  root.finish();
  if (diagnostics.has_errors()) return std::nullopt;
  return endpoints;
}

}  // namespace sluice::config
