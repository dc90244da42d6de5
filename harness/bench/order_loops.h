/* SPDX-License-Identifier: MIT
 * Loops that differ in nothing but the order of additions. Written for AVX2 and FMA alone. */
#ifndef DD_ORDER_LOOPS_H
#define DD_ORDER_LOOPS_H

#include <stddef.h>

/* C (M, N) = A (M, K) B' with B (N, K), in the layout that each form reads best:
 *   chain    one chain an element in ascending k: tiles of 6 x 16. a in panels of six rows, b in
 *            panels of sixteen columns: a[k][6], b[k][16]
 *   halves   two chains an element, over the lower and the upper half of k, added at the end: tiles
 *            of 3 x 16, twelve chains in registers as above. a in panels of three rows
 *   along    eight chains an element, vectors along k: tiles of 4 x 3. a and b as they are
 * shapes   M a multiple of 12, N of 48, K of 16                                            */
void dd_loop_chain_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c);
void dd_loop_halves_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c);
void dd_loop_along_avx2(size_t M, size_t N, size_t K, const float *a, const float *b, float *c);

/* The sum of n floats, n a multiple of 64: in sixteen partials, and in sixty-four. */
float dd_loop_sum16_avx2(size_t n, const float *x);
float dd_loop_sum64_avx2(size_t n, const float *x);

#endif
