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

bool DD_SET_NAME(vectors)(function f, size_t n, const float *x, float *y)
{
    if (f == LOG || f == TANH)
        return false;
    for (size_t i = 0; i < n; i += 16) {
        const dd_v16 v = dd_v16_load(x + i, 16);
        dd_v16_store(y + i, 16,
                     f == EXP    ? dd_v16_exp_down(v)
                     : f == GELU ? dd_v16_gelu_of(v, dd_v16_gelu_reduce(v))
                                 : dd_v16_dgelu_of(v, dd_v16_gelu_reduce(v)));
    }
    for (size_t i = 0; f == EXP && i < n; i++)
        if (x[i] > 0)
            y[i] = dd_exp(x[i]);
    return true;
}
