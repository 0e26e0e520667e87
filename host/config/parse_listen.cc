// [listen.http], [listen.ext_proc], [admin] and [plugins].
#include <fmt/format.h>

#include <utility>

#include "host/config/reader.h"
#include "host/config/sections.h"
#include "host/config/text.h"
#include "host/config/values.h"

namespace sluice::config {
namespace {

// An address that Sluice is to listen on, and the table that says so.
struct Opened {
  std::string path;
  SocketAddress address;
};

SocketAddress address_or(TableReader& table, const char* standard) {
  SocketAddress address = *parse_address(standard);
  table.read_address("address", address);
  return address;
}

void read_error_format(TableReader& table, ErrorFormat& out) {
  table.read_choice<ErrorFormat>("error_format", out,
                                 {{"openai", ErrorFormat::kOpenAi}, {"llm-d", ErrorFormat::kLlmD}});
}

std::optional<Tls> read_tls(TableReader& listener) {
  auto tls = listener.table("tls");
  if (!tls) return std::nullopt;
  Tls out;
  out.at = tls->at();
  for (const auto& [key, path] : {std::pair("cert", &out.cert), std::pair("key", &out.key)}) {
    if (!tls->read_path(key, *path))
      tls->require(key, "tls needs cert and key; client_ca is optional");
  }
  tls->read_path("client_ca", out.client_ca);
  tls->finish();
  return out;
}

HttpListener read_http(TableReader& http) {
  HttpListener out;
  out.address = address_or(http, "127.0.0.1:8080");
  http.read_bytes("max_header", out.max_header);
  http.read_bytes("max_body", out.max_body);
  http.read_duration("header_timeout", out.header_timeout_ns);
  http.read_duration("body_timeout", out.body_timeout_ns);
  read_error_format(http, out.error_format);
  http.read_boolean("expose_endpoint", out.expose_endpoint);
  read_tls(http);
  if (http.has("tls")) http.not_built("tls", "listen.http.tls", "plain HTTP acts instead");
  http.finish();
  return out;
}

ExtProcListener read_ext_proc(TableReader& ext_proc) {
  ExtProcListener out;
  out.address = address_or(ext_proc, "127.0.0.1:9002");
  ext_proc.read_bytes("max_body", out.max_body);
  ext_proc.read_duration("body_timeout", out.body_timeout_ns);
  read_error_format(ext_proc, out.error_format);
  ext_proc.read_boolean("expose_endpoint", out.expose_endpoint);
  ext_proc.read_boolean("scores", out.scores);
  out.tls = read_tls(ext_proc);
  bool insecure = false;
  ext_proc.read_boolean("insecure", insecure);
  if (!insecure && !ext_proc.has("tls") && !is_loopback(out.address)) {
    ext_proc.error(
        "address", fmt::format("{} is not loopback, and there is no tls", quote(out.address.text)),
        "add tls = { cert = ..., key = ... }, or insecure = true if the network is yours");
  }
  ext_proc.finish();
  return out;
}

// A second listener on the address of a first.
void check_apart(TableReader& table, const std::string& path, const SocketAddress& address,
                 std::vector<Opened>& opened) {
  for (const Opened& other : opened) {
    if (!reaches(other.address, address) && !reaches(address, other.address)) continue;
    table.error("address",
                fmt::format("{} listens on {} already", other.path, quote(other.address.text)),
                "give each its own port");
  }
  opened.push_back({path, address});
}

}  // namespace

void read_listeners(TableReader& root, Config& config) {
  std::vector<Opened> opened;
  if (auto listen = root.table("listen")) {
    if (auto http = listen->table("http", "address")) {
      config.http = read_http(*http);
      check_apart(*http, "listen.http", config.http->address, opened);
    }
    if (auto ext_proc = listen->table("ext_proc", "address")) {
      config.ext_proc = read_ext_proc(*ext_proc);
      check_apart(*ext_proc, "listen.ext_proc", config.ext_proc->address, opened);
    }
    listen->finish();
  }
  if (!config.http && !config.ext_proc) {
    root.error("listen", "no listener: nobody could send a request",
               "add [listen.http], or [listen.ext_proc] for a gateway in front");
  }
  if (auto admin = root.table("admin", "address")) {
    config.admin = address_or(*admin, "127.0.0.1:9090");
    check_apart(*admin, "admin", *config.admin, opened);
    admin->finish();
  }
}

void read_plugins(TableReader& root, Config& config) {
  const std::filesystem::path& directory = root.source().directory;
  auto plugins = root.table("plugins");
  std::optional<std::vector<Text>> directories;
  if (plugins) {
    directories = plugins->read_strings("directories");
    plugins->read_boolean("require_sha256", config.require_sha256);
    bool watch = false;
    if (plugins->read_boolean("watch", watch) && watch) {
      plugins->not_built("watch", "plugins.watch",
                         "a reload (SIGHUP or POST /reload) acts instead");
    }
    plugins->finish();
  }
  if (!directories) {
    const std::filesystem::path standard = directory / "plugins";
    std::error_code absent;
    if (std::filesystem::is_directory(standard, absent)) config.plugin_directories = {standard};
    return;
  }
  for (const Text& text : *directories) {
    if (text.text.empty() || text.text.find('\0') != std::string::npos) {
      root.source().diagnostics.error(
          text.at, fmt::format("plugins.directories wants paths, found {}", quote(text.text)));
      continue;
    }
    config.plugin_directories.push_back((directory / text.text).lexically_normal());
    const std::filesystem::path& named = config.plugin_directories.back();
    std::error_code error;
    if (!std::filesystem::is_directory(named, error))
      root.source().diagnostics.warning(
          text.at, fmt::format("there is no plugin directory {}", quote(named.string())),
          "it is looked for again at each reload");
  }
}

}  // namespace sluice::config
