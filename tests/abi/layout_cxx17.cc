// The layout asserts as a C++17 compiler sees them.
#include "../../plugin-api/abi/layout_v0.c"
