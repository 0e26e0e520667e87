#include "host/plugins/image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "host/plugins/elf.h"
#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::strerror(error); }

// Why the owner and mode in STATUS are not to be trusted; WHAT is "is" for the file, "lies in DIR,
// which is" above it.
std::optional<Refusal> check_owner(const struct stat& status, const std::string& what,
                                   const fs::path& path) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return Refusal{
        fmt::format("{} owned by user {}; only root and the user that runs Sluice ({}) are trusted",
                    what, status.st_uid, ::geteuid()),
        fmt::format("chown root {}", path.string())};
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Refusal{
        fmt::format("{} writable by {} (mode {:04o}); only its owner may be able to change it",
                    what, (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group",
                    status.st_mode & 07777),
        fmt::format("chmod go-w {}", path.string())};
  return std::nullopt;
}

// The path under which the kernel knows FD, links resolved.
fs::path real_path(int fd) {
  std::error_code error;
  return fs::read_symlink(fmt::format("/proc/self/fd/{}", fd), error);
}

std::string hex(std::span<const unsigned char> digest) {
  std::string text;
  for (unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

bool write_all(int fd, const uint8_t* data, size_t size) {
  while (size != 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

// Copies SOURCE into a sealed memfd and hashes what it copies.
std::optional<Refusal> copy_and_hash(int source, uint64_t bytes_max, Image& image) {
  const std::string name = fmt::format("sluice:{}", image.path.filename().string().substr(0, 200));
  UniqueFd copy(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy)
    return Refusal{fmt::format("cannot be copied: memfd_create: {}", reason(errno)),
                   "allow memfd_create"};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  if (!hash || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1)
    return Refusal{"cannot be hashed: OpenSSL offers no SHA-256",
                   "repair the OpenSSL installation"};
  std::array<uint8_t, size_t{64} << 10> buffer;
  uint64_t size = 0;
  for (;;) {
    const ssize_t got = ::read(source, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Refusal{fmt::format("cannot be read: {}", reason(errno)), "make it readable"};
    if (got == 0) break;
    size += static_cast<uint64_t>(got);
    if (size > bytes_max)
      return Refusal{fmt::format("is larger than the {} bytes that may be read", bytes_max),
                     "strip it, or keep fewer files in the plugin directories"};
    if (!write_all(copy.get(), buffer.data(), static_cast<size_t>(got)))
      return Refusal{fmt::format("cannot be copied: {}", reason(errno)), "free memory"};
    EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<size_t>(got));
  }
  if (::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
      0)
    return Refusal{fmt::format("cannot be sealed: {}", reason(errno)), "allow memfd seals"};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  EVP_DigestFinal_ex(hash.get(), digest.data(), &length);
  image.sha256 = hex({digest.data(), length});
  image.size = size;
  image.copy = std::move(copy);
  return std::nullopt;
}

// The bytes of a sealed copy, mapped.
class Mapping {
 public:
  explicit Mapping(const Image& image) : size_(image.size) {
    if (image.copy && size_ != 0)
      data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, image.copy.get(), 0);
  }
  ~Mapping() {
    if (data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::span<const uint8_t> bytes() const {
    return data_ == MAP_FAILED ? std::span<const uint8_t>()
                               : std::span(static_cast<const uint8_t*>(data_), size_);
  }

 private:
  void* data_ = MAP_FAILED;
  size_t size_;
};

// Whether the export that makes a file a plugin is there.
std::optional<Refusal> check_exports(const ElfSummary& elf) {
  constexpr std::string_view kPrefix = "sluice_plugin_v";
  std::string other;
  for (const ElfExport& symbol : elf.exports) {
    if (symbol.name == SLUICE_ENTRY_SYMBOL) {
      if (!symbol.data)
        return Refusal{"exports " SLUICE_ENTRY_SYMBOL " as something that is not data",
                       "export it as `const sluice_entry_v1`, not as a function"};
      if (symbol.size != 0 && symbol.size < sizeof(sluice_entry_v1))
        return Refusal{fmt::format("exports {} with {} bytes; a descriptor has {}",
                                   SLUICE_ENTRY_SYMBOL, symbol.size, sizeof(sluice_entry_v1)),
                       "build it with the headers of this Sluice"};
      return std::nullopt;
    }
    if (symbol.name.size() <= kPrefix.size() + 4) other = symbol.name.substr(kPrefix.size());
  }
  if (!other.empty())
    return Refusal{
        fmt::format("exports sluice_plugin_v{0}: it was built for plugin ABI {0}.x, this host "
                    "speaks {1}.{2}",
                    other, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR),
        fmt::format("build it with the {}.{} headers, or run a Sluice that speaks ABI {}.x",
                    SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR, other)};
  return Refusal{"is not a Sluice plugin: it exports no " SLUICE_ENTRY_SYMBOL,
                 "if it should be one, export the descriptor: SLUICE_PLUGIN in C++, SLUICE_EXPORT "
                 "with default "
                 "visibility in C"};
}

bool is_usual(std::string_view library) {
  constexpr std::array<std::string_view, 13> kUsual{
      "libc.so",       "libm.so",    "libstdc++.so", "libgcc_s.so", "ld-linux",
      "libpthread.so", "libdl.so",   "librt.so",     "libasan.so",  "libubsan.so",
      "libtsan.so",    "liblsan.so", "linux-vdso"};
  for (std::string_view usual : kUsual)
    if (library.starts_with(usual)) return true;
  return false;
}

}  // namespace

std::optional<Refusal> check_place(const fs::path& real, const fs::path& directory) {
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  const fs::path inside = error ? fs::path() : real.lexically_relative(root);
  if (inside.empty() || *inside.begin() == "..")
    return Refusal{
        fmt::format("is a symbolic link to {}, outside the plugin directory {}", real.string(),
                    directory.string()),
        "copy the file into the directory, or name the other directory in [plugins] directories"};
  for (fs::path at = real.parent_path();; at = at.parent_path()) {
    struct stat status {};
    if (::stat(at.c_str(), &status) != 0)
      return Refusal{
          fmt::format("lies in {}, which cannot be examined: {}", at.string(), reason(errno)),
          "make the directory readable"};
    if (auto refusal = check_owner(status, fmt::format("lies in {}, which is", at.string()), at))
      return refusal;
    if (at == root || at == at.root_path()) return std::nullopt;
  }
}

Image open_image(const fs::path& file, const fs::path& directory, uint64_t bytes_max) {
  Image image;
  image.path = file;
  // Not blocking, for the case that it is a pipe.
  const UniqueFd source(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!source) {
    image.refusal = Refusal{fmt::format("cannot be opened: {}", reason(errno)),
                            "make it readable, or remove it"};
    return image;
  }
  struct stat status {};
  if (::fstat(source.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    image.refusal = Refusal{"is not a regular file", "remove it from the plugin directory"};
    return image;
  }
  image.refusal = copy_and_hash(source.get(), std::min(bytes_max, kFileBytesMax), image);
  if (image.refusal) return image;
  if (!directory.empty() && (image.refusal = check_place(real_path(source.get()), directory)))
    return image;
  if ((image.refusal = check_owner(status, "is", file))) return image;
  const Mapping mapping(image);
  const auto elf = read_elf(mapping.bytes(), "sluice_plugin_v");
  if (!elf) {
    image.refusal = Refusal{elf.error(), "build it, or copy it here, again"};
    return image;
  }
  for (const std::string& library : elf.value().needed)
    if (!is_usual(library)) image.libraries.push_back(library);
  image.refusal = check_exports(elf.value());
  return image;
}

bool mentions(const Image& image, std::string_view name) {
  const Mapping mapping(image);
  const std::string whole = '\0' + std::string(name) + '\0';
  const std::string_view bytes(reinterpret_cast<const char*>(mapping.bytes().data()),
                               mapping.bytes().size());
  return bytes.find(whole) != std::string_view::npos;
}

}  // namespace sluice::plugins
