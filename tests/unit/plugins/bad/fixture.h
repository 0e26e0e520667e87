/* fixture.h: a small, correct plugin; a file that defines some of these words first makes a broken
 * one of it.
 *
 * It offers the fairness policy com.example.fixture/first, which picks the first ready slot. */
#ifndef FIXTURE_H
#define FIXTURE_H
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>

#ifndef PACKAGE
#define PACKAGE "com.example.fixture"
#endif
#ifndef VERSION
#define VERSION "1.0.0"
#endif
#ifndef ENTRY
#define ENTRY sluice_plugin_v0
#endif
#ifndef MINOR
#define MINOR SLUICE_ABI_MINOR
#endif
#ifndef NAME
#define NAME "first"
#endif
#ifndef INTERFACES
#define INTERFACES \
  { SLUICE_FAIRNESS_ID, &fairness }
#endif
#ifndef PICK /* flows -> slot */
#define PICK(flows) ((uint32_t)__builtin_ctzll((flows)->ready_bits[0]))
#endif
#ifndef INPUTS
#define INPUTS 0
#endif
#ifndef PARAMS
#define PARAMS 0
#define PARAM_COUNT 0
#endif
#ifndef CREATE
#define CREATE 0
#endif
#ifndef STATE_NEW
#define STATE_NEW 0
#endif
#ifndef POLICIES
#define POLICIES policies
#endif

__attribute__((unused)) static uint32_t pick(const void* policy, void* state,
                                             const sluice_flows* flows, uint64_t* retry_ns) {
  (void)policy, (void)state, (void)retry_ns;
  return PICK(flows);
}
__attribute__((unused)) static const sluice_fairness_v1 fairness = {0, pick};
static const sluice_interface interfaces[] = {INTERFACES, {0, 0}};
static const sluice_policy_v1 policy = {sizeof(sluice_policy_v1),
                                        PARAM_COUNT,
                                        0,
                                        INPUTS,
                                        0,
                                        NAME,
                                        "The first ready slot.",
                                        interfaces,
                                        PARAMS,
                                        CREATE,
                                        0,
                                        STATE_NEW,
                                        0};
__attribute__((unused)) static const sluice_policy_v1* const policies[] = {&policy, 0};

extern __attribute__((visibility("default"))) const sluice_entry_v1 ENTRY;
const sluice_entry_v1 ENTRY = {sizeof(sluice_entry_v1),
                               MINOR,
                               MINOR < SLUICE_ABI_MINOR ? MINOR : SLUICE_ABI_MINOR,
                               PACKAGE,
                               VERSION,
                               "Apache-2.0",
                               POLICIES};
#endif
