/* Needs a function that nobody has. */
void sluice_test_nobody_has_this(void);
static void call(void) { sluice_test_nobody_has_this(); }
__attribute__((used)) static void (*const kept)(void) = call;
#include "fixture.h"
