// Internet addresses and the networks they are in, without a socket library.
//
// An IPv4 address is kept as its IPv4-mapped IPv6 address, so that a peer on a dual-stack socket
// matches IPv4 networks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  bool valid = false;  // an invalid address is in no network

  // "10.0.0.1", "::1"; invalid if TEXT is neither.
  static IpAddress parse(std::string_view text);
  static IpAddress v4(const std::array<uint8_t, 4>& bytes);
  static IpAddress v6(const std::array<uint8_t, 16>& bytes);
};

// Who sent a request: the other end of the connection that Sluice accepted.
struct Peer {
  IpAddress address;
  std::vector<std::string> names;  // of its certificate, where it had to show one

  Peer() = default;
  Peer(const IpAddress& from) : address(from) {}
};

class Cidr {
 public:
  // "10.0.0.0/8", "fd00::/8", or an address alone.
  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& address) const;

 private:
  std::array<uint8_t, 16> bytes_{};
  int bits_ = 128;
};

}  // namespace sluice
