/* SPDX-License-Identifier: MIT
 * Forms of the elementary functions in one SIMD kernel set's instructions: see elementary_forms.h.
 */
#include "elementary_forms.h"

#include "set.h"
#include "vector.h"

bool DD_SET_NAME(scalars)(function f, size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = scalar_form(f, x[i]);
    return true;
}

static dd_v16 form_of(function f, dd_v16 x)
{
    if (f == EXP)
        return dd_v16_exp_of(dd_v16_exp_reduce(x));
    const dd_v16_reduced u = dd_v16_gelu_reduce(dd_d16_of(dd_v16_gelu_clamp(x)));
    const dd_v16 e = dd_v16_gelu_exp(u);
    return f == GELU ? dd_v16_gelu_of(x, e) : dd_v16_dgelu_of(x, e);
}

bool DD_SET_NAME(vectors)(function f, size_t n, const float *x, float *y)
{
    if (f == LOG || f == TANH)
        return false;
    for (size_t i = 0; i < n; i += 16)
        dd_v16_store(y + i, 16, form_of(f, dd_v16_load(x + i, 16)));
    for (size_t i = 0; f == EXP && i < n; i++)
        if (x[i] > 0)
            y[i] = dd_exp(x[i]);
    return true;
}
