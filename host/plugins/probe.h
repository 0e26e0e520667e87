// Describing plugin files, and trying out policies, in a child process, so that what happens there
// happens to nobody else.
//
// A description needs the dynamic linker, and the dynamic linker runs the file's constructors. So
// the host starts itself once more as `sluice plugin-probe N`; that process forks one more for each
// file, which loads it, reads its static tables, writes them down and ends without running its
// destructors. A file that crashes, hangs or exits is found out and spoils nothing for the others.
// No function of a plugin is called to describe it; only a policy that pipeline.toml names is
// tried, which is create and the self-check with the parameters that it would get.
//
// Threads: [control]. Limits: kProbeLimit for a batch of kProbeBatch, kProbeBytesMax of answer for
// each file.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/plugins/image.h"
#include "host/plugins/limits.h"

namespace sluice::plugins {

struct ProbeOptions {
  std::filesystem::path program = "/proc/self/exe";  // whose main calls probe_main
  std::chrono::milliseconds limit = kProbeLimit;
};

// What each of IMAGES (readable and not refused) says about itself, or why it is refused; in their
// order.
std::vector<PluginInfo> probe(std::span<const Image* const> images, const ProbeOptions& options);

// A policy, and what its create is given.
struct Trial {
  const Image* image;
  std::string package;
  Kind kind;
  std::string name;
  std::vector<Value> values;
};

// Why each of TRIALS may not be made in this process, or nothing; in their order.
std::vector<std::optional<Refusal>> try_out(std::span<const Trial> trials,
                                            const ProbeOptions& options);

inline constexpr std::string_view kProbeCommand = "plugin-probe";

// The child's side. A program that loads plugins begins its main with
//   if (is_probe(argc, argv)) return probe_main(argc, argv);
bool is_probe(int argc, char** argv);
int probe_main(int argc, char** argv);

}  // namespace sluice::plugins
