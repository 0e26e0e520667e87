#include <unistd.h>
__attribute__((constructor)) static void hang(void) {
  for (;;) pause();
}
#include "fixture.h"
