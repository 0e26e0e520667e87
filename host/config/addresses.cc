#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>

#include "host/config/values.h"

namespace sluice::config {
namespace {

struct Address {
  int family = AF_UNSPEC;
  std::array<unsigned char, 16> bytes{};
  int bits() const { return family == AF_INET ? 32 : 128; }
};

std::optional<Address> read_literal(std::string_view text) {
  const std::string terminated(text);
  if (terminated.size() != std::strlen(terminated.c_str())) return std::nullopt;  // a NUL inside
  Address address;
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, terminated.c_str(), address.bytes.data()) == 1) {
      address.family = family;
      return address;
    }
  }
  return std::nullopt;
}

std::string to_string(const Address& address) {
  char buffer[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.family, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

}  // namespace

Result<SocketAddress> parse_address(std::string_view text) {
  constexpr const char* kForm = "write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080";
  if (text.find("://") != std::string_view::npos) {
    return Error{"leave out the scheme and the path: HOST:PORT"};
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Error{"the port is missing: HOST:PORT"};
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  SocketAddress out;
  out.text = text;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return Error{"the port is a number from 0 to 65535"};
  }
  if (host.empty() || host == "*") return Error{"for every local address write 0.0.0.0 or [::]"};
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost" && !bracketed) {
    out.host = host;
    return out;
  }
  const std::optional<Address> address = read_literal(host);
  if (!address) {
    return Error{host.find_first_of("[]:/ ") == std::string_view::npos
                     ? "the host is an IPv4 or IPv6 address or localhost; names are not looked up"
                     : kForm};
  }
  if (bracketed && address->family != AF_INET6) return Error{"brackets are for IPv6 only"};
  if (!bracketed && address->family == AF_INET6) {
    return Error{"put an IPv6 address in brackets: [::1]:8080"};
  }
  out.host = to_string(*address);
  return out;
}

bool is_loopback(const SocketAddress& address) {
  return address.host == "localhost" || address.host == "::1" || address.host.starts_with("127.");
}

bool is_wildcard(const SocketAddress& address) {
  return address.host == "0.0.0.0" || address.host == "::";
}

std::string canonical(const SocketAddress& address) {
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  return host + "|" + std::to_string(address.port);
}

bool reaches(const SocketAddress& listener, const SocketAddress& destination) {
  if (listener.port == 0 || listener.port != destination.port) return false;
  if (canonical(listener) == canonical(destination)) return true;
  return is_wildcard(listener) && (is_loopback(destination) || is_wildcard(destination));
}

Result<void> check_network(std::string_view text) {
  const size_t slash = text.find('/');
  std::optional<Address> address = read_literal(text.substr(0, slash));
  if (!address) return Error{"write a network such as 10.0.0.0/8 or fd00::/8, or one address"};
  if (slash == std::string_view::npos) return {};

  const std::string_view length = text.substr(slash + 1);
  int bits = -1;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (error != std::errc() || end != length.data() + length.size() || bits < 0 ||
      bits > address->bits()) {
    return Error{address->family == AF_INET ? "the prefix length is 0 to 32"
                                            : "the prefix length is 0 to 128"};
  }
  Address network = *address;
  for (int bit = bits; bit < address->bits(); bit++) {
    network.bytes[bit / 8] &= static_cast<unsigned char>(~(0x80 >> (bit % 8)));
  }
  if (network.bytes != address->bytes) {
    return Error{"bits are set behind the prefix; the network is " + to_string(network) + "/" +
                 std::string(length)};
  }
  return {};
}

}  // namespace sluice::config
