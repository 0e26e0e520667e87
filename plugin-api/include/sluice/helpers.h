/* helpers.h: the small arithmetic that every fair policy needs, in integers, so that it is the same
 * everywhere. */
#ifndef SLUICE_HELPERS_H
#define SLUICE_HELPERS_H
#include <sluice/tables.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Shares per cost unit at weight 1 (1000 milli). */
#define SLUICE_SHARES_PER_COST 1000

/* What COST weighs for a flow of WEIGHT_MILLI, in shares: fixed point, so that even at weight 1000
 * a cost of 1 is 1 share. Rounds to nearest, away from zero at the half, so a charge and its refund
 * cancel. Saturates. */
static inline int64_t sluice_per_weight(int64_t cost, uint32_t weight_milli) {
  const int64_t scale = 1000 * (int64_t)SLUICE_SHARES_PER_COST;
  const int64_t most = INT64_MAX / scale - 1;
  const int64_t weight = weight_milli == 0 ? 1 : (int64_t)weight_milli;
  const int64_t half = weight / 2;
  const int64_t bounded = cost > most ? most : cost < -most ? -most : cost;
  const int64_t scaled = bounded * scale;
  return (scaled < 0 ? scaled - half : scaled + half) / weight;
}

/* A key that orders as the number does: a < b gives a smaller key; -0 and 0 give one key; NaN gives
 * the largest. */
static inline uint64_t sluice_key_from_double(double number) {
  uint64_t bits;
  if (number != number) return UINT64_MAX;
  number += 0.0; /* turns -0 into 0 */
  __builtin_memcpy(&bits, &number, sizeof(bits));
  return (bits >> 63) != 0 ? ~bits : bits | ((uint64_t)1 << 63);
}

/* The sum, or UINT64_MAX where it does not fit: for keys such as arrival_ns + bonus. */
static inline uint64_t sluice_add_saturated(uint64_t a, uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The product, or UINT64_MAX where it does not fit. */
static inline uint64_t sluice_multiply_saturated(uint64_t a, uint64_t b) {
  return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* The first ready slot at or after FROM; SLUICE_NONE if there is none. Skips 64 slots that are not
 * ready at once. */
static inline uint32_t sluice_next_ready(const sluice_flows *flows, uint32_t from) {
  const uint32_t words = flows->slots / 64 + (flows->slots % 64 != 0);
  uint32_t word = from / 64;
  uint64_t bits;
  if (from >= flows->slots) return SLUICE_NONE;
  bits = flows->ready_bits[word] & (~(uint64_t)0 << (from % 64));
  while (bits == 0) {
    if (++word == words) return SLUICE_NONE;
    bits = flows->ready_bits[word];
  }
  return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

#ifdef __cplusplus
}
#endif
#endif
