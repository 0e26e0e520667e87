// Every fixed limit of plugin loading, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::plugins {

inline constexpr uint64_t kFileBytesMax = uint64_t{256} << 20;  // one plugin file
inline constexpr uint64_t kScanBytesMax = uint64_t{1} << 30;    // all files of one scan together
inline constexpr size_t kFilesMax = 512;                        // *.so of one directory
inline constexpr size_t kProbeBatch =
    16;  // files described, or policies tried, by one child process at once
inline constexpr std::chrono::milliseconds kProbeLimit{2000};  // for one batch
inline constexpr size_t kProbeBytesMax = size_t{4} << 20;      // one file's description
inline constexpr size_t kProbeCacheMax = 1024;                 // descriptions remembered
inline constexpr int kImagesPerPolicyMax = 16;  // that offer it, in the life of the process
inline constexpr size_t kCrashNamesMax = 1024;  // images that a crash can be told of

inline constexpr size_t kPoliciesMax = 64;    // of one file
inline constexpr size_t kInterfacesMax = 8;   // of one policy
inline constexpr size_t kParamsMax = 64;      // of one policy
inline constexpr size_t kChoicesMax = 64;     // of one parameter
inline constexpr size_t kNameMax = 64;        // bytes of a name, version or licence
inline constexpr size_t kTextMax = 512;       // bytes of a summary or of a choice's text
inline constexpr uint32_t kStructMax = 4096;  // a plausible struct_size

inline constexpr size_t kElfSegmentsMax = 128;
inline constexpr uint64_t kElfSymbolsMax = uint64_t{1} << 20;
inline constexpr size_t kElfNameMax = 4096;  // longer names are passed over
inline constexpr size_t kElfNamesMax = 64;   // exports kept, and libraries needed

inline constexpr size_t kColumnsMax = 64;  // declared columns of one table and type
inline constexpr size_t kColumnNameMax = 128;
inline constexpr uint64_t kLogLinesPerSecondMax = 20;  // of one plugin file
inline constexpr size_t kLogBytesMax = 1024;           // of one line

}  // namespace sluice::plugins
