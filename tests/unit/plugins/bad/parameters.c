/* Every type of parameter, and the host's services: what create is given is told in its error or
 * its log. */
#include <sluice/sluice.h>
#include <stdio.h>
static const char* const choices[] = {"slow", "fast", 0};
static const sluice_param_v1 params[] = {
    {"flag", "A switch.", "", {1, 0, 0}, {0, 0, 0}, {0, 0, 0}, 0, SLUICE_BOOL, 0},
    {"count", "A number.", "requests", {3, 0, 0}, {1, 0, 0}, {10, 0, 0}, 0, SLUICE_INT, 0},
    {"ratio", "A part.", "", {0, 0.5, 0}, {0, 0, 0}, {0, 1, 0}, 0, SLUICE_FLOAT, 0},
    {"wait",
     "A time.",
     "",
     {250000000, 0, 0},
     {0, 0, 0},
     {60000000000, 0, 0},
     0,
     SLUICE_DURATION,
     0},
    {"room", "A size.", "", {65536, 0, 0}, {0, 0, 0}, {INT64_MAX, 0, 0}, 0, SLUICE_BYTES, 0},
    {"label", "A text.", "", {0, 0, "none"}, {0, 0, 0}, {0, 0, 0}, 0, SLUICE_STRING, 0},
    {"pace", "One of two.", "", {0, 0, "slow"}, {0, 0, 0}, {0, 0, 0}, choices, SLUICE_CHOICE, 0}};
static int object;
static void* create(const sluice_host_v1* host, const sluice_value* v, uint32_t n,
                    sluice_error* error) {
  char text[256];
  int length = snprintf(
      text, sizeof text, "n=%u flag=%d count=%d ratio=%g wait=%lld room=%lld label=%s pace=%s", n,
      (int)v[0].i, (int)v[1].i, v[2].f, (long long)v[3].i, (long long)v[4].i, v[5].s, v[6].s);
  if (v[1].i == 10) { /* the test asks for the values by an error */
    snprintf(error->text, sizeof error->text, "%s", text);
    return 0;
  }
  host->log(host->ctx, SLUICE_LOG_WARN, text, (size_t)length);
  host->retain_idle_flows(host->ctx, 5000000000u);
  if (host->declare_int(host->ctx, SLUICE_REQUESTS, "header:X-Fixture", -1) == SLUICE_NONE)
    return 0;
  if (host->declare_int(host->ctx, SLUICE_REQUESTS, "metric:nonsense", 0) != SLUICE_NONE) return 0;
  if (host->extension(host->ctx, "sluice.nothing/1") != 0) return 0;
  return &object;
}
#define NAME "parameters"
#define PACKAGE "com.example.parameters"
#define PARAMS params
#define PARAM_COUNT 7
#define CREATE create
#include "fixture.h"
