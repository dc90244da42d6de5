/* SPDX-License-Identifier: MIT
 * The number type that the oracle is written in: float, the product's own arithmetic; or double
 * with the C library's functions (DD_ORACLE_DOUBLE), which only the gradient check by finite
 * differences is built with. */
#ifndef DD_REAL_H
#define DD_REAL_H

#include "elementary.h"

#include <math.h>

#ifdef DD_ORACLE_DOUBLE

typedef double real;
#define real_fma(a, b, c) ((a) * (b) + (c))
#define real_sqrt sqrt
#define real_exp exp
#define real_log log

#define SQRT_2_OVER_PI 0.79788456080286535588

static inline real real_gelu(real x)
{
    return 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
}

static inline real real_dgelu(real x)
{
    real t = tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x);
}

#else

typedef float real;
#define real_fma __builtin_fmaf /* the builtin, so that -mfma makes it one instruction */
#define real_sqrt sqrtf
#define real_exp dd_exp
#define real_log dd_log
#define real_gelu dd_gelu
#define real_dgelu dd_dgelu

#endif

/* Names shared between the oracle's files, one set per build: dd_oracle_portable, dd_oracle_fma, …
 */
#define DD_ORACLE_JOIN_(a, b) a##_##b
#define DD_ORACLE_JOIN(a, b) DD_ORACLE_JOIN_(a, b)
#define DD_ORACLE_NAME(name) DD_ORACLE_JOIN(name, DD_VARIANT)

#endif
