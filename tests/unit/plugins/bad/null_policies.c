#define POLICIES 0
#include "fixture.h"
