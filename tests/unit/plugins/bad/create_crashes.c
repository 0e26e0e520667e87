#include <signal.h>
#include <sluice/sluice.h>
static void* create(const sluice_host_v1* host, const sluice_value* values, uint32_t n,
                    sluice_error* error) {
  (void)host, (void)values, (void)n, (void)error;
  raise(SIGSEGV);
  return 0;
}
#define CREATE create
#include "fixture.h"
