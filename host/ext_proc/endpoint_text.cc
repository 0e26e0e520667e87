#include "host/ext_proc/endpoint_text.h"

#include <algorithm>
#include <charconv>

#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string_view literal(const EndpointAddress& address) {
  return address.host == "localhost" ? std::string_view("127.0.0.1") : address.host;
}

}  // namespace

std::string endpoint_text(const EndpointAddress& address) {
  const std::string_view host = literal(address);
  const bool v6 = host.find(':') != host.npos;
  std::string text;
  if (v6) text += '[';
  text += host;
  if (v6) text += ']';
  text += ':';
  text += std::to_string(address.port);
  return text;
}

std::optional<NamedEndpoint> NamedEndpoint::parse(std::string_view text) {
  text = trim(text);
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    if (rest == ":") return std::nullopt;
    if (!rest.empty()) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(host.size() + 1);
    if (port.empty()) return std::nullopt;
  }
  NamedEndpoint named{.ip = IpAddress::parse(host)};
  if (!named.ip.valid) return std::nullopt;
  if (port.empty()) return named;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), named.port);
  if (error != std::errc() || end != port.data() + port.size() || named.port == 0)
    return std::nullopt;
  return named;
}

std::vector<uint32_t> slots_named(const Backends& backends, const std::vector<std::string>& texts) {
  std::vector<NamedEndpoint> named;
  for (std::string_view text : texts) {
    while (!text.empty() && named.size() < kSubsetMax) {
      const std::string_view one = text.substr(0, text.find(','));
      if (const auto endpoint = NamedEndpoint::parse(one)) named.push_back(*endpoint);
      text.remove_prefix(std::min(one.size() + 1, text.size()));
    }
  }
  const auto key = [](const NamedEndpoint& one) { return std::pair(one.ip.bytes, one.port); };
  std::ranges::sort(named, {}, key);
  return backends.slots_where([&](const EndpointAddress& address) {
    const IpAddress ip = IpAddress::parse(literal(address));
    const auto has = [&](uint16_t port) {
      return std::ranges::binary_search(named, std::pair(ip.bytes, port), {}, key);
    };
    return ip.valid && (has(0) || has(address.port));
  });
}

}  // namespace sluice::ext_proc
