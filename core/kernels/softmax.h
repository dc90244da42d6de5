/* SPDX-License-Identifier: MIT
 * The parts of a softmax along a row, for attention and the loss. */
#ifndef DD_SOFTMAX_H
#define DD_SOFTMAX_H

#include "vector.h"

/* The largest of n >= 1. A NaN of the row may be missed here: its own exponential is then a NaN,
 * and with it the sum, every probability and the loss, whatever the maximum was. */
static inline float dd_row_max(size_t n, const float *a)
{
    dd_v16 M = dd_v16_set(a[0]), M1 = M, M2 = M, M3 = M;
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        M = dd_v16_larger(M, dd_v16_load(a + i, 16));
        M1 = dd_v16_larger(M1, dd_v16_load(a + i + 16, 16));
        M2 = dd_v16_larger(M2, dd_v16_load(a + i + 32, 16));
        M3 = dd_v16_larger(M3, dd_v16_load(a + i + 48, 16));
    }
    M = dd_v16_larger(dd_v16_larger(M, M1), dd_v16_larger(M2, M3));
    for (; i + 16 <= n; i += 16)
        M = dd_v16_larger(M, dd_v16_load(a + i, 16));
    if (i < n)
        M = dd_v16_keep(M, dd_v16_larger(M, dd_v16_load(a + i, n - i)), n - i);
    return dd_v16_largest(M);
}

/* Adds e = exp(a * scale - M), stored unless e is NULL, to sixteen partials. */
DD_INLINE_ dd_v16 dd_row_exp_step(dd_v16 p, const float *a, size_t n, dd_v16 scale, dd_v16 M,
                                  float *e)
{
    const dd_v16 v = dd_v16_exp_down(dd_v16_sub(dd_v16_mul(dd_v16_load(a, n), scale), M));
    if (e)
        dd_v16_store(e, n, v);
    return dd_v16_keep(p, dd_v16_add(p, v), n);
}

/* e[i] = exp(a[i] * scale - M), M the largest a[i] * scale; e NULL or == a allowed
 * returns  sum16(e) */
DD_INLINE_ float dd_row_exp(size_t n, const float *a, float scale, float M, float *e)
{
    const dd_v16 scales = dd_v16_set(scale), top = dd_v16_set(M);
    dd_v16 p = dd_v16_set(0.0f);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        p = dd_row_exp_step(p, a + i, 16, scales, top, e ? e + i : NULL);
    if (i < n)
        p = dd_row_exp_step(p, a + i, n - i, scales, top, e ? e + i : NULL);
    return dd_v16_combine(p);
}

#endif
