#include "host/request/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sluice {

IpAddress IpAddress::v4(const std::array<uint8_t, 4>& bytes) {
  IpAddress address;
  address.valid = true;
  address.bytes[10] = address.bytes[11] = 0xFF;
  std::copy(bytes.begin(), bytes.end(), address.bytes.begin() + 12);
  return address;
}

IpAddress IpAddress::v6(const std::array<uint8_t, 16>& bytes) { return {bytes, true}; }

IpAddress IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<uint8_t, 4> four;
  if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
  std::array<uint8_t, 16> sixteen;
  if (inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) return v6(sixteen);
  return {};
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const IpAddress address = IpAddress::parse(host);
  if (!address.valid) return std::nullopt;
  const int width = host.find(':') == host.npos ? 32 : 128;
  int bits = width;
  if (slash != text.npos) {
    const std::string_view length = text.substr(slash + 1);
    const char* const end = length.data() + length.size();
    const auto [stop, error] = std::from_chars(length.data(), end, bits);
    if (length.empty() || error != std::errc{} || stop != end || bits < 0 || bits > width)
      return std::nullopt;
  }
  Cidr cidr;
  cidr.bytes_ = address.bytes;
  cidr.bits_ = bits + (128 - width);
  return cidr;
}

bool Cidr::contains(const IpAddress& address) const {
  if (!address.valid) return false;
  const size_t whole = static_cast<size_t>(bits_) / 8;
  if (std::memcmp(bytes_.data(), address.bytes.data(), whole) != 0) return false;
  const int rest = bits_ % 8;
  return rest == 0 || ((bytes_[whole] ^ address.bytes[whole]) >> (8 - rest)) == 0;
}

}  // namespace sluice
