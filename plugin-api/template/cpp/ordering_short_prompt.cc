// ordering_short_prompt: requests with a short prompt go as if they had arrived `lead` earlier.
//
// A complete Sluice plugin in C++17, to be copied and changed. In pipeline.toml:
//   ordering = { use = "com.example.short-prompt/short-prompt", params = { tokens = 512, lead =
//   "2s" } }
#include <sluice/sluice.hpp>

namespace {

struct ShortPrompt {
  static constexpr sluice::Info info{"short-prompt", "Short prompts go first, by at most `lead`."};
  static constexpr sluice_param_v1 params[] = {
      sluice::int_param("tokens", "The longest prompt that counts as short.", "tokens", 512, 0,
                        1'000'000),
      sluice::duration_param("lead", "How much earlier a short one counts.", "", 2'000'000'000, 0,
                             3'600'000'000'000)};

  explicit ShortPrompt(const sluice::Setup& setup)
      : tokens_(setup.get_int("tokens")), lead_ns_(setup.get_duration_ns("lead")) {}

  // The smallest key goes first. It is asked for once, so a rule that ages has the age in it.
  uint64_t key(const sluice::Request& request, const sluice::Band&) const {
    const bool is_short = request.prompt_tokens() <= tokens_;
    return sluice_add_saturated(request.arrival_ns(), is_short ? 0 : lead_ns_);
  }

 private:
  int64_t tokens_;
  uint64_t lead_ns_;
};

}  // namespace

SLUICE_PLUGIN("com.example.short-prompt", "0.1.0", "Apache-2.0", sluice::ordering<ShortPrompt>);
