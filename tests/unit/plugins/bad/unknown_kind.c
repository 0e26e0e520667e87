#define INTERFACES \
  { "sluice.teapot/1", &fairness }
#include "fixture.h"
