/* SPDX-License-Identifier: MIT
 * Seeded random floats in memory that lies against inaccessible pages. Half of all buffers end
 * where such a page begins, half begin where one ends; the bytes on the other side are watched. */
#ifndef DD_TEST_GUARDED_H
#define DD_TEST_GUARDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A finite value that no computation of these tests comes to, for elements to leave alone. */
#define CANARY 0x1.5a5a5ap+100f

/* PLAIN: about normal. WIDE: every exponent, denormals included. SPECIAL: plain with now and then a
 * NaN, an infinity, -0, a denormal or a huge value. */
typedef enum values { PLAIN, WIDE, SPECIAL } values;

/* Sets and prints the seed: DD_TEST_SEED, or one from the clock. */
void test_seed_from_environment(void);
extern unsigned long long test_seed;

size_t random_below(size_t n);
float random_float(void); /* in (0, 1) */
values any_values(void);

/* n floats, until guarded_release(). */
float *guarded_values(size_t n, values kind);
float *guarded_copy(const float *from, size_t n);
uint32_t *guarded_words(size_t n);
float *guarded_take_at_end(size_t n, float fill);

/* Checks the watched bytes and frees everything. */
void guarded_release(void);

/* Equal bits, or both NaN. */
bool same_bits(float a, float b);

#endif
