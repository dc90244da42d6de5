/* SPDX-License-Identifier: MIT
 * Sixteen floats in two AVX2 registers, the shape in which NUMERICS.md sums rows, and the
 * elementary functions on them: operation by operation those of elementary.h, so the same bits.
 *
 * Loads and stores take the number n of elements that are left; lanes beyond it are neither
 * read nor written in memory. They compute on zeros, and dd_v16_keep() keeps them out of sums. */
#ifndef DD_AVX2_VECTOR_H
#define DD_AVX2_VECTOR_H

#include <immintrin.h>
#include <stddef.h>

#include "elementary.h"

#define DD_INLINE_ static inline __attribute__((always_inline))

typedef struct dd_v16 {
    __m256 lo, hi;
} dd_v16;

/* All ones in the first n lanes. */
DD_INLINE_ __m256i dd_mask8(size_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i_u *)(ones + 8 - (n < 8 ? n : 8)));
}

DD_INLINE_ __m256 dd_v8_load(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, dd_mask8(n));
}

DD_INLINE_ void dd_v8_store(float *p, size_t n, __m256 v)
{
    if (n >= 8)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, dd_mask8(n), v);
}

DD_INLINE_ dd_v16 dd_v16_load(const float *p, size_t n)
{
    if (n >= 16)
        return (dd_v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    if (n > 8)
        return (dd_v16){_mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, dd_mask8(n - 8))};
    return (dd_v16){_mm256_maskload_ps(p, dd_mask8(n)), _mm256_setzero_ps()};
}

DD_INLINE_ void dd_v16_store(float *p, size_t n, dd_v16 v)
{
    if (n > 8) {
        _mm256_storeu_ps(p, v.lo);
        dd_v8_store(p + 8, n - 8, v.hi);
    } else {
        dd_v8_store(p, n, v.lo);
    }
}

/* The first n lanes of v, the others of old, bit for bit. */
DD_INLINE_ dd_v16 dd_v16_keep(dd_v16 old, dd_v16 v, size_t n)
{
    if (n >= 16)
        return v;
    const __m256 lo = _mm256_castsi256_ps(dd_mask8(n));
    const __m256 hi = _mm256_castsi256_ps(dd_mask8(n > 8 ? n - 8 : 0));
    return (dd_v16){_mm256_blendv_ps(old.lo, v.lo, lo), _mm256_blendv_ps(old.hi, v.hi, hi)};
}

DD_INLINE_ dd_v16 dd_v16_set(float x)
{
    return (dd_v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

DD_INLINE_ dd_v16 dd_v16_add(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

DD_INLINE_ dd_v16 dd_v16_sub(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

DD_INLINE_ dd_v16 dd_v16_mul(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

DD_INLINE_ dd_v16 dd_v16_div(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}

DD_INLINE_ dd_v16 dd_v16_sqrt(dd_v16 a)
{
    return (dd_v16){_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}

/* a * b + c */
DD_INLINE_ dd_v16 dd_v16_fma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

/* -(a * b) + c */
DD_INLINE_ dd_v16 dd_v16_fnma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}

/* Adds neighbours at distance 8, 4, 2, 1: the "combine" of NUMERICS 1. */
DD_INLINE_ float dd_v16_combine(dd_v16 p)
{
    const __m256 by8 = _mm256_add_ps(p.lo, p.hi);
    const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}

/* ---- Elementary functions: see elementary.h for the reasons --------------------------------- */

DD_INLINE_ __m256 dd_v8_exp_reduced(__m256 r)
{
    __m256 q = _mm256_set1_ps(DD_EXP_Q5);
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(DD_EXP_Q4));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(DD_EXP_Q3));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(DD_EXP_Q2));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(DD_EXP_Q1));
    q = _mm256_fmadd_ps(q, r, _mm256_set1_ps(DD_EXP_Q0));
    return _mm256_add_ps(_mm256_set1_ps(1.0f), _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r));
}

/* The two factors of 2^n. */
typedef struct dd_v8_powers {
    __m256 first, second;
} dd_v8_powers;

DD_INLINE_ dd_v8_powers dd_v8_power_of_2(__m256i n)
{
    const __m256i both = _mm256_add_epi32(n, _mm256_set1_epi32(254));
    const __m256i half = _mm256_srli_epi32(both, 1);
    return (dd_v8_powers){_mm256_castsi256_ps(_mm256_slli_epi32(half, 23)),
                          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(both, half), 23))};
}

DD_INLINE_ __m256 dd_v8_scale(__m256 y, dd_v8_powers n)
{
    return _mm256_mul_ps(_mm256_mul_ps(y, n.first), n.second);
}

/* maxps and minps return their second operand if either is a NaN: x stands second. */
DD_INLINE_ __m256 dd_v8_exp(__m256 x)
{
    x = _mm256_max_ps(_mm256_set1_ps(DD_EXP_MIN), x);
    x = _mm256_min_ps(_mm256_set1_ps(DD_EXP_MAX), x);
    const __m256 magic = _mm256_set1_ps(DD_MAGIC_F32);
    const __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(DD_LOG2E_F32), magic);
    const __m256 n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(DD_LN2_HIGH_F32), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(DD_LN2_LOW_F32), r);
    const __m256i power = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(magic));
    return dd_v8_scale(dd_v8_exp_reduced(r), dd_v8_power_of_2(power));
}

/* Half of gelu's reduction: r for four elements as floats, the integer n in the low half of *t. */
DD_INLINE_ __m128 dd_v4_gelu_reduce(__m128 abs_x, __m256d *t)
{
    const __m256d magic = _mm256_set1_pd(DD_MAGIC_F64);
    const __m256d a = _mm256_cvtps_pd(abs_x);
    const __m256d slope = _mm256_fmadd_pd(_mm256_set1_pd(DD_GELU_B_F64), _mm256_mul_pd(a, a),
                                          _mm256_set1_pd(DD_GELU_A_F64));
    const __m256d u = _mm256_min_pd(_mm256_set1_pd(DD_GELU_U_MAX), _mm256_mul_pd(a, slope));
    *t = _mm256_fnmadd_pd(u, _mm256_set1_pd(DD_LOG2E_F64), magic);
    const __m256d n = _mm256_sub_pd(*t, magic);
    return _mm256_cvtpd_ps(_mm256_fnmsub_pd(n, _mm256_set1_pd(DD_LN2_F64), u));
}

/* e^-u = p * 2^n for gelu's u of |x| */
DD_INLINE_ __m256 dd_v8_gelu_exp(__m256 x, dd_v8_powers *n)
{
    const __m256 a = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    __m256d t_lo, t_hi;
    const __m128 r_lo = dd_v4_gelu_reduce(_mm256_castps256_ps128(a), &t_lo);
    const __m128 r_hi = dd_v4_gelu_reduce(_mm256_extractf128_ps(a, 1), &t_hi);
    /* low words of eight doubles: per 128 bits first, then into order */
    const __m256 words =
        _mm256_shuffle_ps(_mm256_castpd_ps(t_lo), _mm256_castpd_ps(t_hi), _MM_SHUFFLE(2, 0, 2, 0));
    const __m256d ordered = _mm256_permute4x64_pd(_mm256_castps_pd(words), _MM_SHUFFLE(3, 1, 2, 0));
    *n = dd_v8_power_of_2(_mm256_castpd_si256(ordered));
    return dd_v8_exp_reduced(_mm256_set_m128(r_hi, r_lo));
}

/* Blends choose by the sign of x: for x = -0 both sides give the same bits. */
DD_INLINE_ __m256 dd_v8_gelu(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-DD_GELU_X_MAX), x);
    dd_v8_powers n;
    const __m256 p = dd_v8_gelu_exp(x, &n);
    const __m256 one_e = _mm256_add_ps(one, dd_v8_scale(p, n));
    const __m256 y = _mm256_div_ps(_mm256_mul_ps(x, _mm256_blendv_ps(one, p, x)), one_e);
    return _mm256_blendv_ps(y, dd_v8_scale(y, n), x);
}

DD_INLINE_ __m256 dd_v8_dgelu(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    x = _mm256_max_ps(_mm256_set1_ps(-DD_GELU_X_MAX), x);
    x = _mm256_min_ps(_mm256_set1_ps(DD_GELU_X_MAX), x);
    dd_v8_powers n;
    const __m256 p = dd_v8_gelu_exp(x, &n);
    const __m256 e = dd_v8_scale(p, n);
    const __m256 inv = _mm256_div_ps(one, _mm256_add_ps(one, e));
    const __m256 slope = _mm256_fmadd_ps(_mm256_set1_ps(DD_GELU_3B_F32), _mm256_mul_ps(x, x),
                                         _mm256_set1_ps(DD_GELU_A_F32));
    const __m256 q = _mm256_mul_ps(x, slope);
    const __m256 sigma = _mm256_mul_ps(inv, _mm256_blendv_ps(one, p, x));
    const __m256 rest = _mm256_mul_ps(inv, _mm256_blendv_ps(e, one, x));
    const __m256 y = _mm256_mul_ps(sigma, _mm256_fmadd_ps(q, rest, one));
    return _mm256_blendv_ps(y, dd_v8_scale(y, n), x);
}

DD_INLINE_ dd_v16 dd_v16_exp(dd_v16 x)
{
    return (dd_v16){dd_v8_exp(x.lo), dd_v8_exp(x.hi)};
}

DD_INLINE_ dd_v16 dd_v16_gelu(dd_v16 x)
{
    return (dd_v16){dd_v8_gelu(x.lo), dd_v8_gelu(x.hi)};
}

DD_INLINE_ dd_v16 dd_v16_dgelu(dd_v16 x)
{
    return (dd_v16){dd_v8_dgelu(x.lo), dd_v8_dgelu(x.hi)};
}

#endif
