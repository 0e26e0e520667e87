#include "host/plugins/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "host/plugins/limits.h"

namespace sluice::plugins {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t kMachine = EM_RISCV;
#else
#error "name this machine's EM_ constant"
#endif
static_assert(std::endian::native == std::endian::little);

class Reader {
 public:
  Reader(std::span<const uint8_t> file, std::string_view prefix) : file_(file), prefix_(prefix) {}

  Result<ElfSummary> run() {
    if (auto error = read_header()) return *error;
    if (auto error = read_segments()) return *error;
    if (auto error = read_dynamic()) return *error;
    const auto count = symbol_count();
    if (!count) return Error{"has a broken symbol hash table"};
    return read_symbols(*count);
  }

 private:
  template <typename T>
  std::optional<T> at(uint64_t offset) const {
    if (offset > file_.size() || file_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, file_.data() + offset, sizeof value);
    return value;
  }

  // The T number INDEX of an array at OFFSET.
  template <typename T>
  std::optional<T> at(uint64_t offset, uint64_t index) const {
    if (offset > file_.size() || index > file_.size() / sizeof(T)) return std::nullopt;
    return at<T>(offset + index * sizeof(T));
  }

  // Where the byte that will be mapped at ADDRESS stands in the file.
  std::optional<uint64_t> offset_of(uint64_t address) const {
    for (const Elf64_Phdr& load : loads_)
      if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz)
        return load.p_offset + (address - load.p_vaddr);
    return std::nullopt;
  }

  std::optional<Error> read_header() {
    if (file_.size() < SELFMAG || std::memcmp(file_.data(), ELFMAG, SELFMAG) != 0)
      return Error{"is not an ELF file"};
    const auto header = at<Elf64_Ehdr>(0);
    if (!header) return Error{"is truncated inside its ELF header"};
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
      return Error{"is not a 64-bit little-endian ELF file"};
    if (header->e_type != ET_DYN) return Error{"is an ELF file, but not a shared object"};
    if (header->e_machine != kMachine)
      return Error{fmt::format("is built for another machine (ELF machine {}, this one is {})",
                               header->e_machine, kMachine)};
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
        header->e_phnum > kElfSegmentsMax)
      return Error{"has a broken program header table"};
    header_ = *header;
    return std::nullopt;
  }

  std::optional<Error> read_segments() {
    for (uint64_t i = 0; i < header_.e_phnum; ++i) {
      const auto segment = at<Elf64_Phdr>(header_.e_phoff, i);
      if (!segment) return Error{"is truncated inside its program headers"};
      if (segment->p_type == PT_DYNAMIC) dynamic_ = *segment;
      if (segment->p_type != PT_LOAD) continue;
      if (segment->p_offset > file_.size() || segment->p_filesz > file_.size() - segment->p_offset)
        return Error{fmt::format("is truncated: a segment should end at byte {}, the file has {}",
                                 segment->p_offset + segment->p_filesz, file_.size())};
      loads_.push_back(*segment);
    }
    if (!dynamic_)
      return Error{"has no dynamic section: it is not a shared object that can be loaded"};
    return std::nullopt;
  }

  std::optional<Error> read_dynamic() {
    std::optional<uint64_t> strings;
    for (uint64_t i = 0; i < dynamic_->p_filesz / sizeof(Elf64_Dyn); ++i) {
      const auto entry = at<Elf64_Dyn>(dynamic_->p_offset, i);
      if (!entry) return Error{"is truncated inside its dynamic section"};
      if (entry->d_tag == DT_NULL) break;
      const uint64_t value = entry->d_un.d_val;
      switch (entry->d_tag) {
        case DT_SYMTAB:
          symbols_ = offset_of(value);
          break;
        case DT_STRTAB:
          strings = offset_of(value);
          break;
        case DT_STRSZ:
          strings_size_ = value;
          break;
        case DT_HASH:
          hash_ = offset_of(value);
          break;
        case DT_GNU_HASH:
          gnu_hash_ = offset_of(value);
          break;
        case DT_SYMENT:
          if (value != sizeof(Elf64_Sym)) return Error{"has a broken symbol table"};
          break;
        case DT_NEEDED:
          if (needed_.size() < kElfNamesMax) needed_.push_back(value);
          break;
        default:
          break;
      }
    }
    if (!symbols_) return Error{"has no dynamic symbol table"};
    if (!strings || *strings > file_.size() || strings_size_ > file_.size() - *strings)
      return Error{"has a broken string table"};
    strings_ = *strings;
    return std::nullopt;
  }

  // The symbol table does not say how long it is; its hash tables do.
  std::optional<uint64_t> symbol_count() const {
    if (hash_) {
      const auto count = at<uint32_t>(*hash_, 1);
      if (!count || *count > kElfSymbolsMax) return std::nullopt;
      return *count;
    }
    if (!gnu_hash_) return std::nullopt;
    const auto buckets = at<uint32_t>(*gnu_hash_, 0), first = at<uint32_t>(*gnu_hash_, 1),
               bloom_words = at<uint32_t>(*gnu_hash_, 2);
    if (!buckets || !first || !bloom_words) return std::nullopt;
    const uint64_t bucket_table = *gnu_hash_ + 16 + uint64_t{*bloom_words} * 8;
    uint64_t last = 0;
    for (uint64_t i = 0; i < *buckets; ++i) {
      const auto symbol = at<uint32_t>(bucket_table, i);
      if (!symbol) return std::nullopt;
      last = std::max<uint64_t>(last, *symbol);
    }
    if (last < *first) return *first;  // nothing is exported
    const uint64_t chains = bucket_table + uint64_t{*buckets} * 4;
    for (;; ++last) {
      if (last > kElfSymbolsMax) return std::nullopt;
      const auto link = at<uint32_t>(chains, last - *first);
      if (!link) return std::nullopt;
      if (*link & 1) return last + 1;
    }
  }

  Result<ElfSummary> read_symbols(uint64_t count) const {
    ElfSummary summary;
    for (uint64_t i = 1; i < count; ++i) {
      const auto symbol = at<Elf64_Sym>(*symbols_, i);
      if (!symbol) return Error{"is truncated inside its symbol table"};
      const unsigned binding = ELF64_ST_BIND(symbol->st_info),
                     visibility = ELF64_ST_VISIBILITY(symbol->st_other);
      if (symbol->st_shndx == SHN_UNDEF) continue;
      if (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE) continue;
      if (visibility != STV_DEFAULT && visibility != STV_PROTECTED) continue;
      const auto name = string_at(symbol->st_name);
      if (name && name->starts_with(prefix_) && summary.exports.size() < kElfNamesMax)
        summary.exports.push_back(
            {std::string(*name), ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT, symbol->st_size});
    }
    for (uint64_t offset : needed_)
      if (auto name = string_at(offset)) summary.needed.emplace_back(*name);
    return summary;
  }

  std::optional<std::string_view> string_at(uint64_t offset) const {
    if (offset >= strings_size_) return std::nullopt;
    const char* start = reinterpret_cast<const char*>(file_.data()) + strings_ + offset;
    const size_t length = strnlen(start, std::min<uint64_t>(strings_size_ - offset, kElfNameMax));
    if (length == 0 || length == std::min<uint64_t>(strings_size_ - offset, kElfNameMax))
      return std::nullopt;
    return std::string_view(start, length);
  }

  std::span<const uint8_t> file_;
  std::string_view prefix_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> loads_;
  std::optional<Elf64_Phdr> dynamic_;
  std::optional<uint64_t> symbols_, hash_, gnu_hash_;  // offsets in the file
  uint64_t strings_ = 0, strings_size_ = 0;
  std::vector<uint64_t> needed_;
};

}  // namespace

Result<ElfSummary> read_elf(std::span<const uint8_t> file, std::string_view export_prefix) {
  return Reader(file, export_prefix).run();
}

}  // namespace sluice::plugins
