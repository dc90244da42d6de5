/* SPDX-License-Identifier: MIT
 * Counter-based random numbers: pure functions of (seed, purpose, index), NUMERICS 2. */
#ifndef DD_RANDOM_H
#define DD_RANDOM_H

#include <stdint.h>

#define DD_PURPOSE_ORDER 16        /* epoch order; round j uses 16 + 256 * (j + 1) */
#define DD_PURPOSE_MARKOV_CHAIN 17 /* the built-in source's transition weights */
#define DD_PURPOSE_MARKOV_WALK 18  /* and its walk */
#define DD_PURPOSE_DRAW 19         /* a token drawn from a model (NUMERICS 11) */

/* Philox4x32-10.  source  Salmon et al., SC 2011 */
void dd_philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* The block of (seed, purpose, index): key and counter as NUMERICS 2 says. */
void dd_philox(uint64_t seed, uint64_t index, uint32_t purpose, uint32_t out[4]);

/* Element e of tensor k at its start: Irwin-Hall normal of unit variance times scale. */
float dd_random_normal(uint64_t seed, uint32_t tensor, uint64_t element, float scale);
/* Elements first .. first + n - 1, several at once. */
void dd_random_normals(uint64_t seed, uint32_t tensor, uint64_t first, uint64_t n, float scale,
                       float *out);

#endif
