/* SPDX-License-Identifier: MIT
 * AVX2 and FMA under vector.h: sixteen floats in two registers, sixteen doubles in four. */
#ifndef DD_VECTOR_AVX2_H
#define DD_VECTOR_AVX2_H

#include <immintrin.h>

#define DD_INLINE_ static inline __attribute__((always_inline))

#define DD_VECTOR_REGISTERS 2 /* of a dd_v16 */

typedef struct dd_v16 {
    __m256 lo, hi;
} dd_v16;

typedef struct dd_d16 {
    __m256d a, b, c, d;
} dd_d16;

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

/* A whole cache line past the caches; visible to other threads in order after dd_streaming_end().
 */
DD_INLINE_ void dd_v16_stream(float *p, dd_v16 v)
{
    _mm256_stream_ps(p, v.lo);
    _mm256_stream_ps(p + 8, v.hi);
}

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

DD_INLINE_ dd_v16 dd_v16_fma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

DD_INLINE_ dd_v16 dd_v16_fnma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return (dd_v16){_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}

/* maxps and minps return their second operand if either is a NaN. */
DD_INLINE_ dd_v16 dd_v16_at_least(float bound, dd_v16 x)
{
    const __m256 b = _mm256_set1_ps(bound);
    return (dd_v16){_mm256_max_ps(b, x.lo), _mm256_max_ps(b, x.hi)};
}

DD_INLINE_ dd_v16 dd_v16_at_most(float bound, dd_v16 x)
{
    const __m256 b = _mm256_set1_ps(bound);
    return (dd_v16){_mm256_min_ps(b, x.lo), _mm256_min_ps(b, x.hi)};
}

DD_INLINE_ dd_v16 dd_v16_abs(dd_v16 x)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (dd_v16){_mm256_andnot_ps(sign, x.lo), _mm256_andnot_ps(sign, x.hi)};
}

DD_INLINE_ dd_v16 dd_v16_by_sign(dd_v16 x, dd_v16 negative, dd_v16 positive)
{
    return (dd_v16){_mm256_blendv_ps(positive.lo, negative.lo, x.lo),
                    _mm256_blendv_ps(positive.hi, negative.hi, x.hi)};
}

DD_INLINE_ bool dd_v16_any_below(dd_v16 x, float bound)
{
    const __m256 b = _mm256_set1_ps(bound);
    const __m256 below =
        _mm256_or_ps(_mm256_cmp_ps(x.lo, b, _CMP_LT_OQ), _mm256_cmp_ps(x.hi, b, _CMP_LT_OQ));
    return _mm256_movemask_ps(below) != 0;
}

DD_INLINE_ dd_v16 dd_v16_larger(dd_v16 a, dd_v16 b)
{
    return (dd_v16){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}

DD_INLINE_ float dd_v16_largest(dd_v16 v)
{
    const __m256 by8 = _mm256_max_ps(v.lo, v.hi);
    const __m128 by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)));
}

DD_INLINE_ float dd_v16_combine(dd_v16 p)
{
    const __m256 by8 = _mm256_add_ps(p.lo, p.hi);
    const __m128 by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps(by8, 1));
    const __m128 by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
    return _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)));
}

DD_INLINE_ __m256 dd_v8_power_of_2(__m256i n, float unit)
{
    const __m256i exponent_0 = _mm256_castps_si256(_mm256_set1_ps(unit));
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(n, 23), exponent_0));
}

DD_INLINE_ dd_v16 dd_v16_power_of_2(dd_v16 t, float unit)
{
    return (dd_v16){dd_v8_power_of_2(_mm256_castps_si256(t.lo), unit),
                    dd_v8_power_of_2(_mm256_castps_si256(t.hi), unit)};
}

/* ---- Doubles ---- */

DD_INLINE_ dd_d16 dd_d16_set(double x)
{
    const __m256d v = _mm256_set1_pd(x);
    return (dd_d16){v, v, v, v};
}

DD_INLINE_ dd_d16 dd_d16_of(dd_v16 x)
{
    return (dd_d16){_mm256_cvtps_pd(_mm256_castps256_ps128(x.lo)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps(x.lo, 1)),
                    _mm256_cvtps_pd(_mm256_castps256_ps128(x.hi)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps(x.hi, 1))};
}

/* Converted as they are loaded: from registers each half would have to be moved first. */
DD_INLINE_ dd_d16 dd_d16_load(const float *p, size_t n)
{
    if (n < 16)
        return dd_d16_of(dd_v16_load(p, n));
    return (dd_d16){_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4)),
                    _mm256_cvtps_pd(_mm_loadu_ps(p + 8)), _mm256_cvtps_pd(_mm_loadu_ps(p + 12))};
}

DD_INLINE_ dd_v16 dd_d16_rounded(dd_d16 x)
{
    return (dd_v16){_mm256_set_m128(_mm256_cvtpd_ps(x.b), _mm256_cvtpd_ps(x.a)),
                    _mm256_set_m128(_mm256_cvtpd_ps(x.d), _mm256_cvtpd_ps(x.c))};
}

DD_INLINE_ dd_d16 dd_d16_sub(dd_d16 x, dd_d16 y)
{
    return (dd_d16){_mm256_sub_pd(x.a, y.a), _mm256_sub_pd(x.b, y.b), _mm256_sub_pd(x.c, y.c),
                    _mm256_sub_pd(x.d, y.d)};
}

DD_INLINE_ dd_d16 dd_d16_mul(dd_d16 x, dd_d16 y)
{
    return (dd_d16){_mm256_mul_pd(x.a, y.a), _mm256_mul_pd(x.b, y.b), _mm256_mul_pd(x.c, y.c),
                    _mm256_mul_pd(x.d, y.d)};
}

DD_INLINE_ dd_d16 dd_d16_fma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b),
                    _mm256_fmadd_pd(x.c, y.c, z.c), _mm256_fmadd_pd(x.d, y.d, z.d)};
}

DD_INLINE_ dd_d16 dd_d16_fnma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm256_fnmadd_pd(x.a, y.a, z.a), _mm256_fnmadd_pd(x.b, y.b, z.b),
                    _mm256_fnmadd_pd(x.c, y.c, z.c), _mm256_fnmadd_pd(x.d, y.d, z.d)};
}

DD_INLINE_ dd_d16 dd_d16_fnms(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return (dd_d16){_mm256_fnmsub_pd(x.a, y.a, z.a), _mm256_fnmsub_pd(x.b, y.b, z.b),
                    _mm256_fnmsub_pd(x.c, y.c, z.c), _mm256_fnmsub_pd(x.d, y.d, z.d)};
}

DD_INLINE_ double dd_d16_combine(dd_d16 p)
{
    const __m256d by4 = _mm256_add_pd(_mm256_add_pd(p.a, p.c), _mm256_add_pd(p.b, p.d));
    const __m128d by2 = _mm_add_pd(_mm256_castpd256_pd128(by4), _mm256_extractf128_pd(by4, 1));
    return _mm_cvtsd_f64(_mm_add_sd(by2, _mm_unpackhi_pd(by2, by2)));
}

/* The low words of eight doubles: per 128 bits first, then into order. */
DD_INLINE_ __m256i dd_v8_low_words(__m256d lo, __m256d hi)
{
    const __m256 words =
        _mm256_shuffle_ps(_mm256_castpd_ps(lo), _mm256_castpd_ps(hi), _MM_SHUFFLE(2, 0, 2, 0));
    return _mm256_permute4x64_epi64(_mm256_castps_si256(words), _MM_SHUFFLE(3, 1, 2, 0));
}

DD_INLINE_ dd_v16 dd_d16_power_of_2(dd_d16 t)
{
    return (dd_v16){dd_v8_power_of_2(dd_v8_low_words(t.a, t.b), 1.0f),
                    dd_v8_power_of_2(dd_v8_low_words(t.c, t.d), 1.0f)};
}

#endif
