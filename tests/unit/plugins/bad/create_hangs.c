#include <sluice/sluice.h>
#include <unistd.h>
static void* create(const sluice_host_v1* host, const sluice_value* values, uint32_t n,
                    sluice_error* error) {
  (void)host, (void)values, (void)n, (void)error;
  for (;;) pause();
  return NULL;
}
#define CREATE create
#include "fixture.h"
