/* SPDX-License-Identifier: MIT
 * AVX-512 F, DQ, BW and VL under vector.h: sixteen floats in one register, sixteen doubles in two.
 */
#ifndef DD_VECTOR_AVX512_H
#define DD_VECTOR_AVX512_H

#include <immintrin.h>

#define DD_INLINE_ static inline __attribute__((always_inline))

#define DD_VECTOR_REGISTERS 1 /* of a dd_v16 */

typedef struct dd_v16 {
    __m512 v;
} dd_v16;

typedef struct dd_d16 {
    __m512d lo, hi;
} dd_d16;

/* The first n lanes, n < 16. */
DD_INLINE_ __mmask16 dd_mask16(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

DD_INLINE_ dd_v16 dd_v16_load(const float *p, size_t n)
{
    return (dd_v16){n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(dd_mask16(n), p)};
}

DD_INLINE_ void dd_v16_store(float *p, size_t n, dd_v16 v)
{
    if (n >= 16)
        _mm512_storeu_ps(p, v.v);
    else
        _mm512_mask_storeu_ps(p, dd_mask16(n), v.v);
}

/* A whole cache line past the caches; visible to other threads in order after dd_streaming_end().
 */
DD_INLINE_ void dd_v16_stream(float *p, dd_v16 v)
{
    _mm512_stream_ps(p, v.v);
}

DD_INLINE_ dd_v16 dd_v16_keep(dd_v16 old, dd_v16 v, size_t n)
{
    return n >= 16 ? v : (dd_v16){_mm512_mask_mov_ps(old.v, dd_mask16(n), v.v)};
}

DD_INLINE_ dd_v16 dd_v16_set(float x)
{
    return (dd_v16){_mm512_set1_ps(x)};
}

DD_INLINE_ dd_v16 dd_v16_add(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm512_add_ps(a.v, b.v)};
}

DD_INLINE_ dd_v16 dd_v16_sub(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm512_sub_ps(a.v, b.v)};
}

DD_INLINE_ dd_v16 dd_v16_mul(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm512_mul_ps(a.v, b.v)};
}

DD_INLINE_ dd_v16 dd_v16_div(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm512_div_ps(a.v, b.v)};
}

DD_INLINE_ dd_v16 dd_v16_sqrt(dd_v16 a)
{
    return (dd_v16){_mm512_sqrt_ps(a.v)};
}

DD_INLINE_ dd_v16 dd_v16_fma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm512_fmadd_ps(a.v, b.v, c.v)};
}

DD_INLINE_ dd_v16 dd_v16_fnma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm512_fnmadd_ps(a.v, b.v, c.v)};
}

/* maxps and minps return their second operand if either is a NaN. */
DD_INLINE_ dd_v16 dd_v16_at_least(float bound, dd_v16 x)
{
    return (dd_v16){_mm512_max_ps(_mm512_set1_ps(bound), x.v)};
}

DD_INLINE_ dd_v16 dd_v16_at_most(float bound, dd_v16 x)
{
    return (dd_v16){_mm512_min_ps(_mm512_set1_ps(bound), x.v)};
}

DD_INLINE_ dd_v16 dd_v16_abs(dd_v16 x)
{
    return (dd_v16){_mm512_andnot_ps(_mm512_set1_ps(-0.0f), x.v)};
}

DD_INLINE_ dd_v16 dd_v16_by_sign(dd_v16 x, dd_v16 negative, dd_v16 positive)
{
    const __mmask16 sign = _mm512_movepi32_mask(_mm512_castps_si512(x.v));
    return (dd_v16){_mm512_mask_mov_ps(positive.v, sign, negative.v)};
}

DD_INLINE_ bool dd_v16_any_below(dd_v16 x, float bound)
{
    return _mm512_cmp_ps_mask(x.v, _mm512_set1_ps(bound), _CMP_LT_OQ) != 0;
}

DD_INLINE_ dd_v16 dd_v16_larger(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm512_max_ps(a.v, b.v)};
}

DD_INLINE_ float dd_v16_largest(dd_v16 v)
{
    const __m256 by8 = _mm256_max_ps(_mm512_castps512_ps256(v.v), _mm512_extractf32x8_ps(v.v, 1));
    const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

DD_INLINE_ float dd_v16_combine(dd_v16 p)
{
    const __m256 by8 = _mm256_add_ps(_mm512_castps512_ps256(p.v), _mm512_extractf32x8_ps(p.v, 1));
    const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}

DD_INLINE_ dd_v16 dd_v16_power_of_2(dd_v16 t, float unit)
{
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(t.v), 23);
    const __m512i exponent_0 = _mm512_castps_si512(_mm512_set1_ps(unit));
    return (dd_v16){_mm512_castsi512_ps(_mm512_add_epi32(exponent, exponent_0))};
}

/* ---- Doubles ---- */

DD_INLINE_ dd_d16 dd_d16_set(double x)
{
    return (dd_d16){_mm512_set1_pd(x), _mm512_set1_pd(x)};
}

DD_INLINE_ dd_d16 dd_d16_of(dd_v16 x)
{
    return (dd_d16){_mm512_cvtps_pd(_mm512_castps512_ps256(x.v)),
                    _mm512_cvtps_pd(_mm512_extractf32x8_ps(x.v, 1))};
}

DD_INLINE_ dd_d16 dd_d16_load(const float *p, size_t n)
{
    if (n < 16)
        return dd_d16_of(dd_v16_load(p, n));
    return (dd_d16){_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))};
}

DD_INLINE_ dd_v16 dd_d16_rounded(dd_d16 x)
{
    return (dd_v16){_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.lo)),
                                       _mm512_cvtpd_ps(x.hi), 1)};
}

DD_INLINE_ dd_d16 dd_d16_sub(dd_d16 x, dd_d16 y)
{
    return (dd_d16){_mm512_sub_pd(x.lo, y.lo), _mm512_sub_pd(x.hi, y.hi)};
}

DD_INLINE_ dd_d16 dd_d16_mul(dd_d16 x, dd_d16 y)
{
    return (dd_d16){_mm512_mul_pd(x.lo, y.lo), _mm512_mul_pd(x.hi, y.hi)};
}

DD_INLINE_ dd_d16 dd_d16_fma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm512_fmadd_pd(x.lo, y.lo, z.lo), _mm512_fmadd_pd(x.hi, y.hi, z.hi)};
}

DD_INLINE_ dd_d16 dd_d16_fnma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm512_fnmadd_pd(x.lo, y.lo, z.lo), _mm512_fnmadd_pd(x.hi, y.hi, z.hi)};
}

DD_INLINE_ dd_d16 dd_d16_fnms(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm512_fnmsub_pd(x.lo, y.lo, z.lo), _mm512_fnmsub_pd(x.hi, y.hi, z.hi)};
}

DD_INLINE_ double dd_d16_combine(dd_d16 p)
{
    const __m512d by8 = _mm512_add_pd(p.lo, p.hi);
    const __m256d by4 = _mm256_add_pd(_mm512_castpd512_pd256(by8), _mm512_extractf64x4_pd(by8, 1));
    const __m128d by2 = _mm_add_pd(_mm256_castpd256_pd128(by4), _mm256_extractf128_pd(by4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(by2, _mm_unpackhi_pd(by2, by2)));
}

DD_INLINE_ dd_v16 dd_d16_power_of_2(dd_d16 t)
{
    const __m512i low_words =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i n =
        _mm512_permutex2var_epi32(_mm512_castpd_si512(t.lo), low_words, _mm512_castpd_si512(t.hi));
    return dd_v16_power_of_2((dd_v16){_mm512_castsi512_ps(n)}, 1.0f);
}

#endif
