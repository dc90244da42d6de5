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

/* a * scale - M, in the form that dd_v16_exp_of takes, to r and power */
DD_INLINE_ void dd_row_exp_reduce(const float *a, size_t n, dd_v16 scale, dd_v16 M, float *r,
                                  float *power)
{
    const dd_v16 x = dd_v16_sub(dd_v16_mul(dd_v16_load(a, n), scale), M);
    const dd_v16_reduced reduced = dd_v16_exp_reduce(x);
    dd_v16_store(r, 16, reduced.r);
    dd_v16_store(power, 16, reduced.power);
}

DD_INLINE_ dd_v16 dd_row_exp_of(const float *r, const float *power)
{
    return dd_v16_exp_of((dd_v16_reduced){dd_v16_load(r, 16), dd_v16_load(power, 16)});
}

/* e[i] = exp(a[i] - M), M the largest a[i]; e NULL or == a allowed
 * returns  sum16(e) */
static inline float dd_row_exp(size_t n, const float *a, float M, float *e)
{
    enum { BLOCK = 256 };
    float r[BLOCK], power[BLOCK];
    const dd_v16 one = dd_v16_set(1.0f), top = dd_v16_set(M);
    dd_v16 p = dd_v16_set(0.0f);
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t end = n - i < BLOCK ? n - i : BLOCK;
        for (size_t j = 0; j < end; j += 16)
            dd_row_exp_reduce(a + i + j, end - j, one, top, r + j, power + j);
        for (size_t j = 0; j < end; j += 16) {
            const dd_v16 v = dd_row_exp_of(r + j, power + j);
            if (e)
                dd_v16_store(e + i + j, end - j, v);
            p = dd_v16_keep(p, dd_v16_add(p, v), end - j);
        }
    }
    return dd_v16_combine(p);
}

#endif
