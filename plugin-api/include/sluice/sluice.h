/* sluice.h: the whole plugin ABI. Start reading at abi.h. */
#ifndef SLUICE_H
#define SLUICE_H
#include <sluice/abi.h>
#include <sluice/event.h>
#include <sluice/eviction.h>
#include <sluice/fairness.h>
#include <sluice/helpers.h>
#include <sluice/ordering.h>
#include <sluice/scoring.h>
#include <sluice/tables.h>
#endif
