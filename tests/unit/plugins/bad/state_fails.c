#include <sluice/sluice.h>
#include <string.h>
static void* state_new(const void* policy, const sluice_scope* scope, sluice_error* error) {
  (void)policy, (void)scope;
  strcpy(error->text, "no room for 3 flows");
  return 0;
}
#define STATE_NEW state_new
#include "fixture.h"
