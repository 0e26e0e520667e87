// What a shared object exports and needs, read from its bytes without loading it.
//
// Works from the program headers alone (PT_DYNAMIC, DT_SYMTAB, DT_GNU_HASH or DT_HASH), so files
// with stripped section headers are read like any other. Every offset is checked: any bytes at all
// give an answer or a reason, never a crash. Threads: [any], pure. Complexity: linear in the symbol
// table; bounded by limits.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::plugins {

struct ElfExport {
  std::string name;
  bool data = false;  // an object, not a function
  uint64_t size = 0;  // in bytes; 0 = not stated
};

struct ElfSummary {
  std::vector<ElfExport> exports;   // defined, visible symbols that begin with the prefix asked for
  std::vector<std::string> needed;  // libraries that it wants
};

// The error completes the sentence "FILE ...": "is not an ELF file".
Result<ElfSummary> read_elf(std::span<const uint8_t> file, std::string_view export_prefix);

}  // namespace sluice::plugins
