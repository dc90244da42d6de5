/* SPDX-License-Identifier: MIT
 * Elementary functions: fixed sequences of + - * / sqrt and fma, so that every instruction set,
 * compiler and C library writes the same bits. core/model/NUMERICS.md section 10 gives them in
 * words together with their worst error over all 2^32 floats (harness/unit/test_elementary.c
 * --all). The scalar forms here are what vector forms must equal. Refuses to be fast where that
 * would cost a bit: no libm, no tables, no approximate reciprocals.
 *
 * A NaN stays a NaN in all of them: each clamp is written so that a failed comparison keeps x. */
#ifndef DD_ELEMENTARY_H
#define DD_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

/* 1.5 * 2^23 (2^52): adding it to |v| < 2^22 (2^51) rounds v to an integer, found in the low bits.
 */
#define DD_MAGIC_F32 0x1.8p+23f
#define DD_MAGIC_F64 0x1.8p+52

#define DD_LOG2E_F32 0x1.715476p+0f
#define DD_LN2_HIGH_F32 0x1.62e4p-1f /* 15 bits: n * this is exact for |n| < 2^9 */
#define DD_LN2_LOW_F32 0x1.7f7d1cp-20f
#define DD_LOG2E_F64 0x1.71547652b82fep+0
#define DD_LN2_F64 0x1.62e42fefa39efp-1

/* (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, minimax of degree 5 for the relative error of e^r: 2^-34.1
 */
#define DD_EXP_Q0 0x1p-1f
#define DD_EXP_Q1 0x1.555554p-3f
#define DD_EXP_Q2 0x1.55548ep-5f
#define DD_EXP_Q3 0x1.111272p-7f
#define DD_EXP_Q4 0x1.6d8d52p-10f
#define DD_EXP_Q5 0x1.9f085ap-13f
/* Beyond these exp is 0 or infinite in binary32. */
#define DD_EXP_MIN (-104.0f)
#define DD_EXP_MAX 89.0f

/* GPT-2's GELU as x * sigma(u), u = x * (A + B * x^2), A = 2 * sqrt(2/pi), B = 0.044715 * A */
#define DD_GELU_A_F64 0x1.9884533d43651p+0
#define DD_GELU_B_F64 0x1.2444f2a4d8b4bp-4
#define DD_GELU_A_F32 0x1.988454p+0f
#define DD_GELU_3B_F32 0x1.b6676cp-3f
#define DD_GELU_X_MAX 16.0f /* beyond, gelu and its derivative are constant or x itself */
#define DD_GELU_U_MAX 120.0 /* 2^-173: below every float even times 16 */

static inline uint32_t dd_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float dd_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t dd_double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double dd_double_of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^r for |r| <= 0.35 */
static inline float dd_exp_reduced(float r)
{
    float q = __builtin_fmaf(DD_EXP_Q5, r, DD_EXP_Q4);
    q = __builtin_fmaf(q, r, DD_EXP_Q3);
    q = __builtin_fmaf(q, r, DD_EXP_Q2);
    q = __builtin_fmaf(q, r, DD_EXP_Q1);
    q = __builtin_fmaf(q, r, DD_EXP_Q0);
    return 1.0f + __builtin_fmaf(r * r, q, r);
}

/* y * 2^n, n in two's complement, -254 < n <= 128: two factors, so that only the last product of a
 * result that is denormal or infinite rounds. */
static inline float dd_scale(float y, uint32_t n)
{
    uint32_t both = n + 254;
    uint32_t half = both >> 1;
    return (y * dd_float_of_bits(half << 23)) * dd_float_of_bits((both - half) << 23);
}

static inline float dd_exp(float x)
{
    x = x < DD_EXP_MIN ? DD_EXP_MIN : x;
    x = x > DD_EXP_MAX ? DD_EXP_MAX : x;
    float t = __builtin_fmaf(x, DD_LOG2E_F32, DD_MAGIC_F32);
    float n = t - DD_MAGIC_F32;
    float r = __builtin_fmaf(n, -DD_LN2_HIGH_F32, x); /* exact */
    r = __builtin_fmaf(n, -DD_LN2_LOW_F32, r);
    return dd_scale(dd_exp_reduced(r), dd_float_bits(t) - dd_float_bits(DD_MAGIC_F32));
}

/* In double, rounded once: denormals are normal there and the error stays within 0.5001 ulp. */
static inline float dd_log(float x)
{
    if (x != x)
        return x;
    if (!(x > 0.0f))
        return x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
    if (x == __builtin_inff())
        return x;
    /* x = 2^k * m, m in [sqrt(1/2), sqrt(2)) */
    uint64_t bits = dd_double_bits((double)x);
    uint64_t biased = (bits + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu)) >> 52;
    double k = (double)((int64_t)biased - 1023);
    double m = dd_double_of_bits(bits - ((biased - 1023) << 52));
    /* log m = 2 atanh(s) = 2s + s z g(z), z = s^2 <= 0.0295: g minimax of degree 3, 2^-37.6 */
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double g = __builtin_fma(0x1.e2fa12e38c629p-3, z, 0x1.2438c044ee4b7p-2);
    g = __builtin_fma(g, z, 0x1.999a7ae20fb46p-2);
    g = __builtin_fma(g, z, 0x1.555554fd6fcdep-1);
    double log_m = __builtin_fma(s * z, g, 2.0 * s);
    return (float)__builtin_fma(k, DD_LN2_F64, log_m);
}

static inline float dd_tanh(float x)
{
    float a = __builtin_fabsf(x);
    float y;
    if (a < 0.625f) {
        /* (tanh(a) / a - 1) / a^2 in z = a^2, minimax of degree 5 for the relative error: 2^-32.6
         */
        float z = a * a;
        float p = __builtin_fmaf(0x1.197b92p-9f, z, -0x1.0c214cp-7f);
        p = __builtin_fmaf(p, z, 0x1.6394dap-6f);
        p = __builtin_fmaf(p, z, -0x1.b9ef7ep-5f);
        p = __builtin_fmaf(p, z, 0x1.11106cp-3f);
        p = __builtin_fmaf(p, z, -0x1.555554p-2f);
        y = __builtin_fmaf(a * z, p, a);
    } else {
        float e = dd_exp(-2.0f * a);
        y = (1.0f - e) / (1.0f + e);
    }
    return __builtin_copysignf(y, x);
}

/* e^-u = p * 2^n for gelu's u of |x|. In double up to the reduced argument: in float the rounding
 * of u alone would cost the negative tail a hundred ulp. */
typedef struct dd_gelu_tail {
    float p;
    uint32_t n; /* two's complement, -174 <= n <= 0 */
} dd_gelu_tail;

static inline dd_gelu_tail dd_gelu_exp(float x)
{
    double a = (double)__builtin_fabsf(x);
    double u = a * __builtin_fma(DD_GELU_B_F64, a * a, DD_GELU_A_F64);
    u = u > DD_GELU_U_MAX ? DD_GELU_U_MAX : u;
    double t = __builtin_fma(u, -DD_LOG2E_F64, DD_MAGIC_F64);
    double n = t - DD_MAGIC_F64;
    float r = (float)__builtin_fma(n, -DD_LN2_F64, -u);
    return (dd_gelu_tail){dd_exp_reduced(r), (uint32_t)dd_double_bits(t)};
}

/* x / (1 + e^-u) for x >= 0, x e^u / (1 + e^u) otherwise: no overflow, no cancellation */
static inline float dd_gelu(float x)
{
    x = x < -DD_GELU_X_MAX ? -DD_GELU_X_MAX : x;
    dd_gelu_tail tail = dd_gelu_exp(x);
    float one_e = 1.0f + dd_scale(tail.p, tail.n);
    if (x >= 0.0f)
        return x / one_e;
    return dd_scale((x * tail.p) / one_e, tail.n);
}

/* sigma(u) * (1 + x u' sigma(-u)), u' = A + 3B x^2 */
static inline float dd_dgelu(float x)
{
    x = x < -DD_GELU_X_MAX ? -DD_GELU_X_MAX : x;
    x = x > DD_GELU_X_MAX ? DD_GELU_X_MAX : x;
    dd_gelu_tail tail = dd_gelu_exp(x);
    float e = dd_scale(tail.p, tail.n);
    float inv = 1.0f / (1.0f + e);
    float q = x * __builtin_fmaf(DD_GELU_3B_F32, x * x, DD_GELU_A_F32);
    if (x >= 0.0f)
        return inv * __builtin_fmaf(q, e * inv, 1.0f);
    return dd_scale((tail.p * inv) * __builtin_fmaf(q, inv, 1.0f), tail.n);
}

/* cos(pi q) for q in [0, 1], in double: Taylor series around 0 and 1/2, where both converge by q^16
 */
static inline double dd_cospi(double q)
{
    double a = q > 0.5 ? 1.0 - q : q; /* exact */
    double y;
    if (a > 0.25) {
        /* sin(pi h) = h * (pi + z * (...)); pi in two parts */
        double h = 0.5 - a; /* exact */
        double z = h * h;
        y = __builtin_fma(0x1.aaec32af93359p-21, z, -0x1.6fadb9f155744p-16);
        y = __builtin_fma(y, z, 0x1.e8f434d018d63p-12);
        y = __builtin_fma(y, z, -0x1.e3074fde8871fp-8);
        y = __builtin_fma(y, z, 0x1.50783487ee782p-4);
        y = __builtin_fma(y, z, -0x1.32d2cce62bd86p-1);
        y = __builtin_fma(y, z, 0x1.466bc6775aae2p+1);
        y = __builtin_fma(y, z, -0x1.4abbce625be53p+2);
        y = __builtin_fma(y, z, 0x1.1a62633145c07p-53);
        y = __builtin_fma(h, 0x1.921fb54442d18p+1, h * y);
    } else {
        double z = a * a;
        y = __builtin_fma(0x1.20c62c2f2d7f5p-18, z, -0x1.b6e24f44b128fp-14);
        y = __builtin_fma(y, z, 0x1.f9d38a3763cc3p-10);
        y = __builtin_fma(y, z, -0x1.a6d1f2a204a8cp-6);
        y = __builtin_fma(y, z, 0x1.e1f506891babbp-3);
        y = __builtin_fma(y, z, -0x1.55d3c7e3cbffap+0);
        y = __builtin_fma(y, z, 0x1.03c1f081b5ac4p+2);
        y = __builtin_fma(y, z, -0x1.3bd3cc9be45dep+2);
        y = __builtin_fma(y, z, 1.0);
    }
    return q > 0.5 ? -y : y;
}

#endif
