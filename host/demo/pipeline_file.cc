#include "host/demo/pipeline_file.h"

#include <fmt/format.h>

namespace sluice::demo {

std::string pipeline_text(const PipelineSpec& spec) {
  std::string text = fmt::format(
      "schema = 1\n\n"
      "[listen.{}]\naddress = \"127.0.0.1:{}\"\n\n"
      "[admin]\naddress = \"127.0.0.1:{}\"\n\n"
      "[pool.capacity]\n",
      spec.gateway ? "ext_proc" : "http", spec.http_port, spec.admin_port);
  text += spec.gateways == 0 ? fmt::format(
                                   "mode = \"fixed\"\nmax_in_flight = {}\n"
                                   "max_in_flight_tokens = {}\n\n",
                                   spec.slots, spec.tokens)
                             : fmt::format("mode = \"auto\"\ngateways = {}\n\n", spec.gateways);
  for (size_t i = 0; i < spec.servers.size(); ++i) {
    text += fmt::format(
        "[[pool.endpoints]]\nname = \"server-{}\"\naddress = \"127.0.0.1:{}\"\nmodels = "
        "[\"{}\"]\n\n",
        i + 1, spec.servers[i].port, spec.servers[i].model);
  }
  text += fmt::format(
      "[flow]\nkey = [\"model\", \"header:x-llm-d-inference-fairness-id\"]\n"
      "default_band = \"{}\"\n\n",
      spec.default_band);
  for (const BandSpec& band : spec.bands) {
    // What waits is to be measured, not to be given up.
    text += fmt::format(
        "[[band]]\nname = \"{0}\"\npriority = {1}\nttl = \"10m\"\n"
        "ordering = {{ use = \"fcfs\" }}\nfairness = {{ use = \"round-robin\" }}\n\n"
        "[[objective]]\nname = \"{0}\"\nband = \"{0}\"\n\n",
        band.name, band.priority);
  }
  if (!spec.decisions.empty()) {
    text += fmt::format("[log]\ndecisions = '{}'\n\n", spec.decisions);
  }
  text += "[drain]\ngrace = \"0s\"\ndeadline = \"5s\"\n";
  return text;
}

}  // namespace sluice::demo
