/* Passes the self-check, whose table has three slots; then it crashes by itself, or in libc. */
#include <sluice/sluice.h>
#include <stdlib.h>
static uint32_t answer(const sluice_flows* flows) {
  if (flows->slots > 3 && flows->ready_bits[0] == 1) abort();
  if (flows->slots > 3) *(volatile int*)(uintptr_t)(flows->slots - 64) = 1;
  return (uint32_t)__builtin_ctzll(flows->ready_bits[0]);
}
#define PICK(flows) answer(flows)
#define PACKAGE "com.example.later"
#include "fixture.h"
