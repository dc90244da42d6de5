/* SPDX-License-Identifier: MIT
 * Forms of the elementary functions that need instructions of their own: see elementary_forms.h. */
#include "elementary_forms.h"

#ifdef __AVX2__

#include "avx2_vector.h"

bool fma_form(function f, size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = scalar_form(f, x[i]);
    return true;
}

bool avx2_form(function f, size_t n, const float *x, float *y)
{
    if (f == LOG || f == TANH)
        return false;
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 v = dd_v16_load(x + i, 16);
        dd_v16_store(y + i, 16,
                     f == EXP    ? dd_v16_exp(v)
                     : f == GELU ? dd_v16_gelu(v)
                                 : dd_v16_dgelu(v));
    }
    return true;
}

#else

bool fma_form(function f, size_t n, const float *x, float *y)
{
    (void)f, (void)n, (void)x, (void)y;
    return false;
}

bool avx2_form(function f, size_t n, const float *x, float *y)
{
    (void)f, (void)n, (void)x, (void)y;
    return false;
}

#endif
