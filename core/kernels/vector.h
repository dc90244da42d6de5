/* SPDX-License-Identifier: MIT
 * Sixteen floats (dd_v16), the shape in which NUMERICS.md sums rows, and sixteen doubles (dd_d16)
 * in the registers of the set that DD_SET names, and the elementary functions on them: the bits of
 * elementary.h. vector_avx2.h, vector_avx512.h and vector_neon.h give one set of operations under
 * one set of names; what is below and in the kernels is written once.
 *
 *   load(p, n) store(p, n, v)   n elements are left; lanes from n on are neither read nor written
 *                               in memory. They compute on zeros
 *   keep(old, v, n)             the first n lanes of v, the others of old: keeps absent lanes out
 *                               of sums
 *   fma, fnma, fnms(a, b, c)    a * b + c, -(a * b) + c, -(a * b) - c
 *   at_least(bound, x), at_most the clamps of NUMERICS 10: a NaN stays
 *   by_sign(x, n, p)            n where the sign bit of x is set, else p
 *   any_below(x, bound)         whether some x < bound
 *   larger(a, b), largest(v)    of NaNs either is allowed
 *   combine(p)                  adds neighbours at distance 8, 4, 2, 1 (NUMERICS 1)
 *   power_of_2(t, unit)         2^n * unit, n the low bits of t; unit a power of 2, the result a
 *                               normal float
 *   d16_of(v), d16_load(p, n)   to double
 *   d16_rounded(d)              rounded to float
 *   d16_power_of_2(t)           2^n as float, n the low word of t, -126 <= n <= 127           */
#ifndef DD_VECTOR_H
#define DD_VECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "elementary.h"

#define DD_TEXT_(name) #name
#define DD_QUOTE_(name) DD_TEXT_(name)
#define DD_VECTOR_OF_(set) vector_##set.h
#define DD_VECTOR_FILE_(set) DD_VECTOR_OF_(set)
#include DD_QUOTE_(DD_VECTOR_FILE_(DD_SET))

DD_INLINE_ dd_v16 dd_v16_exp_reduced(dd_v16 r)
{
    dd_v16 q = dd_v16_set(DD_EXP_Q5);
    q = dd_v16_fma(q, r, dd_v16_set(DD_EXP_Q4));
    q = dd_v16_fma(q, r, dd_v16_set(DD_EXP_Q3));
    q = dd_v16_fma(q, r, dd_v16_set(DD_EXP_Q2));
    q = dd_v16_fma(q, r, dd_v16_set(DD_EXP_Q1));
    q = dd_v16_fma(q, r, dd_v16_set(DD_EXP_Q0));
    return dd_v16_add(dd_v16_set(1.0f), dd_v16_fma(dd_v16_mul(r, r), q, r));
}

/* An exponential between its two halves: e^r * power. From end to end it is so long a chain that a
 * CPU, which sees a few dozen operations that wait, does not reach the next elements; the kernels
 * take each half for many elements before the next. */
typedef struct dd_v16_reduced {
    dd_v16 r, power;
} dd_v16_reduced;

/* For x <= 0 or NaN; power lacks a factor of 2^-64 */
DD_INLINE_ dd_v16_reduced dd_v16_exp_reduce(dd_v16 x)
{
    x = dd_v16_at_least(DD_EXP_MIN, x);
    const dd_v16 magic = dd_v16_set(DD_MAGIC_F32);
    const dd_v16 t = dd_v16_fma(x, dd_v16_set(DD_LOG2E_F32), magic);
    const dd_v16 n = dd_v16_sub(t, magic);
    dd_v16 r = dd_v16_fnma(n, dd_v16_set(DD_LN2_HIGH_F32), x);
    r = dd_v16_fnma(n, dd_v16_set(DD_LN2_LOW_F32), r);
    return (dd_v16_reduced){r, dd_v16_power_of_2(t, 0x1p+64f)};
}

/* exp of it. scale()'s two factors are others: 2^(n + 64) and 2^-64, of which again only the second
 * product can round. */
DD_INLINE_ dd_v16 dd_v16_exp_of(dd_v16_reduced x)
{
    const dd_v16 y = dd_v16_mul(dd_v16_exp_reduced(x.r), x.power);
    return dd_v16_mul(y, dd_v16_set(0x1p-64f));
}

/* Up to this |x|, e^-u of gelu and every product with it are normal floats: there scale() is exact
 * and may stand anywhere, so that e = p * 2^n takes the place of p and n. Beyond it on the right e
 * is too small to be seen in 1 + e, whatever it is; beyond it on the left each x goes its own way
 * through elementary.h. */
#define DD_GELU_NORMAL 9.5f

/* |x|, at most DD_GELU_NORMAL */
DD_INLINE_ dd_v16 dd_v16_gelu_clamp(dd_v16 x)
{
    return dd_v16_at_most(DD_GELU_NORMAL, dd_v16_abs(x));
}

/* e^-u for gelu's u of a, which is clamped */
DD_INLINE_ dd_v16_reduced dd_v16_gelu_reduce(dd_d16 a)
{
    const dd_d16 magic = dd_d16_set(DD_MAGIC_F64);
    const dd_d16 slope =
        dd_d16_fma(dd_d16_set(DD_GELU_B_F64), dd_d16_mul(a, a), dd_d16_set(DD_GELU_A_F64));
    const dd_d16 u = dd_d16_mul(a, slope);
    const dd_d16 t = dd_d16_fnma(u, dd_d16_set(DD_LOG2E_F64), magic);
    const dd_d16 n = dd_d16_sub(t, magic);
    return (dd_v16_reduced){dd_d16_rounded(dd_d16_fnms(n, dd_d16_set(DD_LN2_F64), u)),
                            dd_d16_power_of_2(t)};
}

DD_INLINE_ dd_v16 dd_v16_gelu_exp(dd_v16_reduced u)
{
    return dd_v16_mul(dd_v16_exp_reduced(u.r), u.power);
}

/* f(x) where x is below -DD_GELU_NORMAL, else y: rare, and out of the way of the others. */
__attribute__((noinline, unused)) static dd_v16 dd_v16_mend(dd_v16 x, dd_v16 y, float (*f)(float))
{
    float in[16], out[16];
    dd_v16_store(in, 16, x);
    dd_v16_store(out, 16, y);
    for (size_t i = 0; i < 16; i++)
        if (in[i] < -DD_GELU_NORMAL)
            out[i] = f(in[i]);
    return dd_v16_load(out, 16);
}

/* gelu(x), e = e^-u. Choices by the sign of x: for x = -0 both sides give the same bits. */
DD_INLINE_ dd_v16 dd_v16_gelu_of(dd_v16 x, dd_v16 e)
{
    const dd_v16 one = dd_v16_set(1.0f);
    dd_v16 y = dd_v16_mul(x, dd_v16_by_sign(x, e, one));
    y = dd_v16_div(y, dd_v16_add(one, e));
    return dd_v16_any_below(x, -DD_GELU_NORMAL) ? dd_v16_mend(x, y, dd_gelu) : y;
}

/* dgelu(x) of the same e */
DD_INLINE_ dd_v16 dd_v16_dgelu_of(dd_v16 x, dd_v16 e)
{
    const dd_v16 one = dd_v16_set(1.0f);
    const dd_v16 inv = dd_v16_div(one, dd_v16_add(one, e));
    const dd_v16 most = dd_v16_at_most(DD_GELU_X_MAX, x);
    const dd_v16 slope =
        dd_v16_fma(dd_v16_set(DD_GELU_3B_F32), dd_v16_mul(most, most), dd_v16_set(DD_GELU_A_F32));
    const dd_v16 q = dd_v16_mul(most, slope);
    const dd_v16 e_inv = dd_v16_mul(e, inv);
    const dd_v16 sigma = dd_v16_by_sign(x, e_inv, inv);
    const dd_v16 rest = dd_v16_by_sign(x, inv, e_inv);
    const dd_v16 y = dd_v16_mul(sigma, dd_v16_fma(q, rest, one));
    return dd_v16_any_below(x, -DD_GELU_NORMAL) ? dd_v16_mend(x, y, dd_dgelu) : y;
}

#endif
