/* SPDX-License-Identifier: MIT
 * NEON (AArch64) under vector.h: sixteen floats in four registers, sixteen doubles in eight. */
#ifndef DD_VECTOR_NEON_H
#define DD_VECTOR_NEON_H

#include <arm_neon.h>

#define DD_INLINE_ static inline __attribute__((always_inline))

#define DD_VECTOR_REGISTERS 4 /* of a dd_v16 */

typedef struct dd_v16 {
    float32x4_t a, b, c, d;
} dd_v16;

typedef struct dd_d16 {
    float64x2_t a, b, c, d, e, f, g, h;
} dd_d16;

/* NEON has no masks: absent lanes go by way of sixteen floats of our own. */
DD_INLINE_ dd_v16 dd_v16_load(const float *p, size_t n)
{
    float whole[16] = {0};
    if (n < 16) {
        for (size_t i = 0; i < n; i++)
            whole[i] = p[i];
        p = whole;
    }
    return (dd_v16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

DD_INLINE_ void dd_v16_store(float *p, size_t n, dd_v16 v)
{
    float whole[16];
    float *to = n < 16 ? whole : p;
    vst1q_f32(to, v.a);
    vst1q_f32(to + 4, v.b);
    vst1q_f32(to + 8, v.c);
    vst1q_f32(to + 12, v.d);
    for (size_t i = 0; n < 16 && i < n; i++)
        p[i] = whole[i];
}

/* A whole cache line; here as any other, visible to other threads in order all the same. */
DD_INLINE_ void dd_v16_stream(float *p, dd_v16 v)
{
    dd_v16_store(p, 16, v);
}

DD_INLINE_ dd_v16 dd_v16_keep(dd_v16 old, dd_v16 v, size_t n)
{
    if (n >= 16)
        return v;
    float kept[16];
    dd_v16_store(kept, 16, old);
    dd_v16_store(kept, n, v);
    return dd_v16_load(kept, 16);
}

DD_INLINE_ dd_v16 dd_v16_set(float x)
{
    const float32x4_t v = vdupq_n_f32(x);
    return (dd_v16){v, v, v, v};
}

/* One operation on each register. */
#define DD_EACH_4_(op, x) ((dd_v16){op((x).a), op((x).b), op((x).c), op((x).d)})
#define DD_EACH_4_OF_2_(op, x, y)                                                                  \
    ((dd_v16){op((x).a, (y).a), op((x).b, (y).b), op((x).c, (y).c), op((x).d, (y).d)})
#define DD_EACH_4_OF_3_(op, x, y, z)                                                               \
    ((dd_v16){op((x).a, (y).a, (z).a), op((x).b, (y).b, (z).b), op((x).c, (y).c, (z).c),           \
              op((x).d, (y).d, (z).d)})

DD_INLINE_ dd_v16 dd_v16_add(dd_v16 a, dd_v16 b)
{
    return DD_EACH_4_OF_2_(vaddq_f32, a, b);
}

DD_INLINE_ dd_v16 dd_v16_sub(dd_v16 a, dd_v16 b)
{
    return DD_EACH_4_OF_2_(vsubq_f32, a, b);
}

DD_INLINE_ dd_v16 dd_v16_mul(dd_v16 a, dd_v16 b)
{
    return DD_EACH_4_OF_2_(vmulq_f32, a, b);
}

DD_INLINE_ dd_v16 dd_v16_div(dd_v16 a, dd_v16 b)
{
    return DD_EACH_4_OF_2_(vdivq_f32, a, b);
}

DD_INLINE_ dd_v16 dd_v16_sqrt(dd_v16 a)
{
    return DD_EACH_4_(vsqrtq_f32, a);
}

DD_INLINE_ dd_v16 dd_v16_fma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return DD_EACH_4_OF_3_(vfmaq_f32, c, a, b);
}

DD_INLINE_ dd_v16 dd_v16_fnma(dd_v16 a, dd_v16 b, dd_v16 c)
{
    return DD_EACH_4_OF_3_(vfmsq_f32, c, a, b);
}

/* FMAX and FMIN give a NaN if either operand is one. */
DD_INLINE_ dd_v16 dd_v16_larger(dd_v16 a, dd_v16 b)
{
    return DD_EACH_4_OF_2_(vmaxq_f32, a, b);
}

DD_INLINE_ dd_v16 dd_v16_at_least(float bound, dd_v16 x)
{
    return dd_v16_larger(dd_v16_set(bound), x);
}

DD_INLINE_ dd_v16 dd_v16_at_most(float bound, dd_v16 x)
{
    const dd_v16 b = dd_v16_set(bound);
    return DD_EACH_4_OF_2_(vminq_f32, b, x);
}

DD_INLINE_ dd_v16 dd_v16_abs(dd_v16 x)
{
    return DD_EACH_4_(vabsq_f32, x);
}

DD_INLINE_ float32x4_t dd_v4_by_sign(float32x4_t x, float32x4_t negative, float32x4_t positive)
{
    return vbslq_f32(vcltzq_s32(vreinterpretq_s32_f32(x)), negative, positive);
}

DD_INLINE_ dd_v16 dd_v16_by_sign(dd_v16 x, dd_v16 negative, dd_v16 positive)
{
    return DD_EACH_4_OF_3_(dd_v4_by_sign, x, negative, positive);
}

DD_INLINE_ bool dd_v16_any_below(dd_v16 x, float bound)
{
    const float32x4_t b = vdupq_n_f32(bound);
    const uint32x4_t below = vorrq_u32(vorrq_u32(vcltq_f32(x.a, b), vcltq_f32(x.b, b)),
                                       vorrq_u32(vcltq_f32(x.c, b), vcltq_f32(x.d, b)));
    return vmaxvq_u32(below) != 0;
}

DD_INLINE_ float dd_v16_largest(dd_v16 v)
{
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(v.a, v.b), vmaxq_f32(v.c, v.d)));
}

DD_INLINE_ float dd_v16_combine(dd_v16 p)
{
    const float32x4_t by4 = vaddq_f32(vaddq_f32(p.a, p.c), vaddq_f32(p.b, p.d));
    const float32x2_t by2 = vadd_f32(vget_low_f32(by4), vget_high_f32(by4));
    return vget_lane_f32(by2, 0) + vget_lane_f32(by2, 1);
}

DD_INLINE_ float32x4_t dd_v4_power_of_2(int32x4_t n, float unit)
{
    const int32x4_t exponent_0 = vreinterpretq_s32_f32(vdupq_n_f32(unit));
    return vreinterpretq_f32_s32(vaddq_s32(vshlq_n_s32(n, 23), exponent_0));
}

DD_INLINE_ dd_v16 dd_v16_power_of_2(dd_v16 t, float unit)
{
    return (dd_v16){dd_v4_power_of_2(vreinterpretq_s32_f32(t.a), unit),
                    dd_v4_power_of_2(vreinterpretq_s32_f32(t.b), unit),
                    dd_v4_power_of_2(vreinterpretq_s32_f32(t.c), unit),
                    dd_v4_power_of_2(vreinterpretq_s32_f32(t.d), unit)};
}

/* ---- Doubles ---- */

#define DD_EACH_8_OF_2_(op, x, y)                                                                  \
    ((dd_d16){op((x).a, (y).a), op((x).b, (y).b), op((x).c, (y).c), op((x).d, (y).d),              \
              op((x).e, (y).e), op((x).f, (y).f), op((x).g, (y).g), op((x).h, (y).h)})
#define DD_EACH_8_OF_3_(op, x, y, z)                                                               \
    ((dd_d16){op((x).a, (y).a, (z).a), op((x).b, (y).b, (z).b), op((x).c, (y).c, (z).c),           \
              op((x).d, (y).d, (z).d), op((x).e, (y).e, (z).e), op((x).f, (y).f, (z).f),           \
              op((x).g, (y).g, (z).g), op((x).h, (y).h, (z).h)})

DD_INLINE_ dd_d16 dd_d16_set(double x)
{
    const float64x2_t v = vdupq_n_f64(x);
    return (dd_d16){v, v, v, v, v, v, v, v};
}

DD_INLINE_ dd_d16 dd_d16_of(dd_v16 x)
{
    return (dd_d16){vcvt_f64_f32(vget_low_f32(x.a)), vcvt_high_f64_f32(x.a),
                    vcvt_f64_f32(vget_low_f32(x.b)), vcvt_high_f64_f32(x.b),
                    vcvt_f64_f32(vget_low_f32(x.c)), vcvt_high_f64_f32(x.c),
                    vcvt_f64_f32(vget_low_f32(x.d)), vcvt_high_f64_f32(x.d)};
}

DD_INLINE_ dd_d16 dd_d16_load(const float *p, size_t n)
{
    return dd_d16_of(dd_v16_load(p, n));
}

DD_INLINE_ dd_v16 dd_d16_rounded(dd_d16 x)
{
    return (dd_v16){
        vcvt_high_f32_f64(vcvt_f32_f64(x.a), x.b), vcvt_high_f32_f64(vcvt_f32_f64(x.c), x.d),
        vcvt_high_f32_f64(vcvt_f32_f64(x.e), x.f), vcvt_high_f32_f64(vcvt_f32_f64(x.g), x.h)};
}

DD_INLINE_ dd_d16 dd_d16_sub(dd_d16 x, dd_d16 y)
{
    return DD_EACH_8_OF_2_(vsubq_f64, x, y);
}

DD_INLINE_ dd_d16 dd_d16_mul(dd_d16 x, dd_d16 y)
{
    return DD_EACH_8_OF_2_(vmulq_f64, x, y);
}

DD_INLINE_ dd_d16 dd_d16_fma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return DD_EACH_8_OF_3_(vfmaq_f64, z, x, y);
}

DD_INLINE_ dd_d16 dd_d16_fnma(dd_d16 x, dd_d16 y, dd_d16 z)
{
    return DD_EACH_8_OF_3_(vfmsq_f64, z, x, y);
}

DD_INLINE_ dd_d16 dd_d16_fnms(dd_d16 x, dd_d16 y, dd_d16 z)
{
    const dd_d16 minus = {vnegq_f64(z.a), vnegq_f64(z.b), vnegq_f64(z.c), vnegq_f64(z.d),
                          vnegq_f64(z.e), vnegq_f64(z.f), vnegq_f64(z.g), vnegq_f64(z.h)};
    return dd_d16_fnma(x, y, minus);
}

DD_INLINE_ double dd_d16_combine(dd_d16 p)
{
    const float64x2_t left = vaddq_f64(vaddq_f64(p.a, p.e), vaddq_f64(p.c, p.g));
    const float64x2_t right = vaddq_f64(vaddq_f64(p.b, p.f), vaddq_f64(p.d, p.h));
    const float64x2_t by2 = vaddq_f64(left, right);
    return vgetq_lane_f64(by2, 0) + vgetq_lane_f64(by2, 1);
}

/* Of four doubles. */
DD_INLINE_ int32x4_t dd_v4_low_words(float64x2_t lo, float64x2_t hi)
{
    return vuzp1q_s32(vreinterpretq_s32_f64(lo), vreinterpretq_s32_f64(hi));
}

DD_INLINE_ dd_v16 dd_d16_power_of_2(dd_d16 t)
{
    return (dd_v16){dd_v4_power_of_2(dd_v4_low_words(t.a, t.b), 1.0f),
                    dd_v4_power_of_2(dd_v4_low_words(t.c, t.d), 1.0f),
                    dd_v4_power_of_2(dd_v4_low_words(t.e, t.f), 1.0f),
                    dd_v4_power_of_2(dd_v4_low_words(t.g, t.h), 1.0f)};
}

#endif
