/* From the future: another major. */
#define ENTRY sluice_plugin_v1
#include "fixture.h"
