#include "host/traces/open.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "host/config/text.h"
#include "host/traces/azure.h"
#include "host/traces/file_source.h"
#include "host/traces/generator.h"
#include "host/traces/lines.h"
#include "host/traces/loads.h"
#include "host/traces/mix.h"
#include "host/traces/mooncake.h"
#include "host/traces/native.h"
#include "host/traces/scale.h"

namespace sluice::traces {
namespace {

// The format whose first line this is, or null.
std::unique_ptr<Format> format_of(std::string_view line) {
  if (line == kAzureHeader) return std::make_unique<AzureFormat>();
  if (line.starts_with('{')) return std::make_unique<MooncakeFormat>();
  if (!line.starts_with(kNativeHeader)) return nullptr;
  const std::string_view rest = line.substr(kNativeHeader.size());
  if (!rest.empty() && rest != kGroupColumn) return nullptr;
  return std::make_unique<NativeFormat>(!rest.empty());
}

Result<std::unique_ptr<Source>> open_file(std::unique_ptr<std::istream> in, const std::string& name,
                                          const TraceOptions& options) {
  LineReader lines(std::move(in));
  const std::optional<std::string_view> first = lines.next();
  if (!first && !lines.trouble().empty()) {
    return Error{fmt::format("{}:1: error: {}", name, lines.trouble())};
  }
  if (!first) return Error{fmt::format("{}: error: the file is empty", name)};
  std::unique_ptr<Format> format = format_of(*first);
  if (!format) {
    return Error{fmt::format(
        "{}:1: error: {} begins no trace that is known; the first line of a trace is {}[{}], or "
        "{}, or a JSON object with timestamp, input_length and output_length; loads to generate "
        "stand in a file named .toml",
        name, config::quote(*first), kNativeHeader, kGroupColumn, kAzureHeader)};
  }
  if (!format->has_header()) lines.unread();
  return FileSource::open(std::move(lines), std::move(format), name, options);
}

}  // namespace

Result<std::unique_ptr<Source>> open_trace(const std::filesystem::path& file,
                                           const TraceOptions& options) {
  std::error_code unknown;
  if (std::filesystem::is_directory(file, unknown)) {
    return Error{fmt::format("{}: error: this is a directory, not a file", file.string())};
  }
  errno = 0;
  auto in = std::make_unique<std::ifstream>(file, std::ios::binary);
  if (!*in) {
    return Error{
        fmt::format("{}: error: the file cannot be read: {}", file.string(), std::strerror(errno))};
  }
  return open_trace(std::move(in), file.string(), options);
}

Result<std::unique_ptr<Source>> open_trace(std::unique_ptr<std::istream> in,
                                           const std::string& name, const TraceOptions& options) {
  if (const Result<void> checked = check(options); !checked) {
    return Error{fmt::format("error: {}", checked.error())};
  }
  auto opened = name.ends_with(".toml") ? open_loads(*in, name, options)
                                        : open_file(std::move(in), name, options);
  if (!opened) return opened;
  std::unique_ptr<Source> source = std::move(*opened);
  if (options.tenants || !options.bands.empty()) {
    source = std::make_unique<Mixed>(std::move(source), options);
  }
  if (options.time_scale != 1) {
    source = std::make_unique<Scaled>(std::move(source), options.time_scale);
  }
  return source;
}

}  // namespace sluice::traces
