#define NAME "First Come"
#include "fixture.h"
