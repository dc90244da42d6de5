/* SPDX-License-Identifier: MIT
 * The elementary functions in the forms that must agree: compiled as any file is, and, by
 * elementary_forms.c once for each SIMD kernel set, with the set's scalar instructions and as its
 * vectors. */
#ifndef DD_TEST_ELEMENTARY_FORMS_H
#define DD_TEST_ELEMENTARY_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "elementary.h"

typedef enum function { EXP, LOG, TANH, GELU, DGELU, N_FUNCTIONS } function;

static inline float scalar_form(function f, float x)
{
    switch (f) {
    case EXP:
        return dd_exp(x);
    case LOG:
        return dd_log(x);
    case TANH:
        return dd_tanh(x);
    case GELU:
        return dd_gelu(x);
    default:
        return dd_dgelu(x);
    }
}

/* y[i] = f(x[i]); n a multiple of 16
 * returns  false where there is no such form: log and tanh have no vectors, and exp none for x > 0
 *          (there the scalar form stands in), for no kernel needs them                      */
typedef bool elementary_form(function f, size_t n, const float *x, float *y);

elementary_form dd_avx2_scalars_, dd_avx2_vectors_;
elementary_form dd_avx512_scalars_, dd_avx512_vectors_;
elementary_form dd_neon_scalars_, dd_neon_vectors_;

#endif
