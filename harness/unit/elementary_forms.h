/* SPDX-License-Identifier: MIT
 * The elementary functions in the three forms that must agree: compiled as any file is, compiled
 * with the FMA instruction, and as AVX2 vectors. elementary_forms.c, built with the flags of AVX2
 * where there is such a thing, holds the last two. */
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
 * returns  false where there is no such form: log and tanh have no vectors, for no kernel needs
 * them */
bool fma_form(function f, size_t n, const float *x, float *y);
bool avx2_form(function f, size_t n, const float *x, float *y);

#endif
