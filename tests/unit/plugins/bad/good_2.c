/* As good, with other bytes. */
#define VERSION "2.0.0"
#include "fixture.h"
