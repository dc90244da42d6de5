/* SPDX-License-Identifier: MIT
 * AVX2: one head's causal attention. Chains run in tiles of six rows where all six take part; at
 * the diagonal, where rows begin or end, each goes its own way. Masked terms are absent, never
 * multiplied by zero. Scores beyond the diagonal may be computed, but no chain and no memory sees
 * them. */
#include <assert.h>
#include <math.h>

#include "avx2_sets.h"
#include "avx2_tile.h"
#include "avx2_vector.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t dd_avx2_attention_scratch_(size_t max_T, size_t max_d)
{
    /* columns in panels, rows in panels, G */
    return sizeof(float) *
           (dd_panels_size(max_d, max_T) + dd_panels_size(max_T, max_d) + max_T * max_T);
}

/* S[t][s] = chain(i < d: x[t][i] * y[s][i]; +0) for rows t0 <= t < t0 + rows, s <= t; y^T in panels
 */
static void scores(size_t t0, size_t rows, size_t T, size_t d, const float *x, size_t x_row,
                   const float *y_panels, float *S)
{
    for (size_t s0 = 0; s0 < t0 + rows; s0 += DD_TILE_COLS, y_panels += dd_panel_pitch(d)) {
        const bool below = s0 + DD_TILE_COLS <= t0 + 1; /* all rows have all columns */
        float corner[DD_TILE_ROWS * DD_TILE_COLS];
        const dd_tile tile = {.rows = rows,
                              .cols = DD_TILE_COLS,
                              .K = d,
                              .a = x + t0 * x_row,
                              .a_row = x_row,
                              .a_col = 1,
                              .b = y_panels,
                              .from = dd_avx2_zeros_,
                              .to = below ? S + t0 * T + s0 : corner,
                              .to_row = below ? T : DD_TILE_COLS};
        dd_avx2_tile_(&tile);
        if (below)
            continue;
        for (size_t t = t0; t < t0 + rows; t++)
            if (t >= s0)
                dd_v16_store(S + t * T + s0, t + 1 - s0,
                             dd_v16_load(corner + (t - t0) * DD_TILE_COLS, 16));
    }
}

/* out[t] = chain(s <= t: L[t][s] * x[s]; +0) for the same rows; x (T, d) in panels */
static void lower_product(size_t t0, size_t rows, size_t T, size_t d, const float *L,
                          const float *x_panels, float *out, size_t out_row)
{
    for (size_t i = 0; i < d; i += DD_TILE_COLS, x_panels += dd_panel_pitch(T)) {
        const size_t n = least(d - i, DD_TILE_COLS);
        const dd_tile tile = {.rows = rows,
                              .cols = n,
                              .K = t0 + 1,
                              .a = L + t0 * T,
                              .a_row = T,
                              .a_col = 1,
                              .b = x_panels,
                              .from = dd_avx2_zeros_,
                              .to = out + t0 * out_row + i,
                              .to_row = out_row};
        dd_avx2_tile_(&tile);
        for (size_t t = t0 + 1; t < t0 + rows; t++) {
            dd_v16 acc = dd_v16_load(out + t * out_row + i, n);
            for (size_t s = t0 + 1; s <= t; s++)
                acc = dd_v16_fma(dd_v16_set(L[t * T + s]),
                                 dd_v16_load(x_panels + s * DD_TILE_COLS, 16), acc);
            dd_v16_store(out + t * out_row + i, n, acc);
        }
    }
}

/* out[s] = chain(t >= s: L[t][s] * x[t]; +0), t ascending, for all rows s; x (T, d) in panels */
static void upper_product(size_t T, size_t d, const float *L, const float *x_panels, float *out,
                          size_t out_row)
{
    for (size_t i = 0; i < d; i += DD_TILE_COLS, x_panels += dd_panel_pitch(T)) {
        const size_t n = least(d - i, DD_TILE_COLS);
        for (size_t s0 = 0; s0 < T; s0 += DD_TILE_ROWS) {
            const size_t rows = least(T - s0, DD_TILE_ROWS), t0 = s0 + rows;
            for (size_t s = s0; s < t0; s++) {
                dd_v16 acc = dd_v16_set(0.0f);
                for (size_t t = s; t < t0; t++)
                    acc = dd_v16_fma(dd_v16_set(L[t * T + s]),
                                     dd_v16_load(x_panels + t * DD_TILE_COLS, 16), acc);
                dd_v16_store(out + s * out_row + i, n, acc);
            }
            if (t0 == T)
                break;
            const dd_tile tile = {.rows = rows,
                                  .cols = n,
                                  .K = T - t0,
                                  .a = L + t0 * T + s0,
                                  .a_row = 1,
                                  .a_col = T,
                                  .b = x_panels + t0 * DD_TILE_COLS,
                                  .from = out + s0 * out_row + i,
                                  .from_row = out_row,
                                  .to = out + s0 * out_row + i,
                                  .to_row = out_row};
            dd_avx2_tile_(&tile);
        }
    }
}

/* a = a * sigma */
static void scale(size_t n, float *a, float sigma)
{
    for (size_t s = 0; s < n; s += 16)
        dd_v16_store(a + s, n - s, dd_v16_mul(dd_v16_load(a + s, n - s), dd_v16_set(sigma)));
}

void dd_avx2_attention_forward_(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t T = a->T, d = a->d;
    const float sigma = 1.0f / sqrtf((float)d);
    float *k_columns = scratch;
    float *v_rows = k_columns + dd_panels_size(d, T);
    dd_avx2_pack_panels_(d, T, a->k, 1, a->qkv_row, k_columns);
    dd_avx2_pack_panels_(T, d, a->v, a->qkv_row, 1, v_rows);
    for (size_t t0 = 0; t0 < T; t0 += DD_TILE_ROWS) {
        const size_t rows = least(T - t0, DD_TILE_ROWS);
        scores(t0, rows, T, d, a->q, a->qkv_row, k_columns, a->P);
        for (size_t t = t0; t < t0 + rows; t++) {
            scale(t + 1, a->P + t * T, sigma);
            dd_avx2_softmax_(t + 1, a->P + t * T);
        }
        lower_product(t0, rows, T, d, a->P, v_rows, a->att, a->att_row);
    }
}

/* g holds dP and becomes G = (P * (dP - D)) * sigma, D = dot16(P, dP) */
static void softmax_backward(size_t n, const float *P, float sigma, float *g)
{
    dd_v16 p = dd_v16_set(0.0f);
    for (size_t s = 0; s < n; s += 16) {
        const dd_v16 next = dd_v16_fma(dd_v16_load(P + s, n - s), dd_v16_load(g + s, n - s), p);
        p = dd_v16_keep(p, next, n - s);
    }
    const dd_v16 D = dd_v16_set(dd_v16_combine(p)), scales = dd_v16_set(sigma);
    for (size_t s = 0; s < n; s += 16) {
        const dd_v16 below = dd_v16_sub(dd_v16_load(g + s, n - s), D);
        const dd_v16 G = dd_v16_mul(dd_v16_mul(dd_v16_load(P + s, n - s), below), scales);
        dd_v16_store(g + s, n - s, G);
    }
}

void dd_avx2_attention_backward_(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t T = a->T, d = a->d, row = a->qkv_row;
    const float sigma = 1.0f / sqrtf((float)d);
    float *v_columns = scratch;
    float *rows_of = v_columns + dd_panels_size(d, T);
    float *G = rows_of + dd_panels_size(T, d);
    dd_avx2_pack_panels_(d, T, a->v, 1, row, v_columns);
    dd_avx2_pack_panels_(T, d, a->k, row, 1, rows_of);
    for (size_t t0 = 0; t0 < T; t0 += DD_TILE_ROWS) {
        const size_t rows = least(T - t0, DD_TILE_ROWS);
        scores(t0, rows, T, d, a->gatt, a->att_row, v_columns, G);
        for (size_t t = t0; t < t0 + rows; t++)
            softmax_backward(t + 1, a->P + t * T, sigma, G + t * T);
        lower_product(t0, rows, T, d, G, rows_of, a->gq, row);
    }
    dd_avx2_pack_panels_(T, d, a->q, row, 1, rows_of);
    upper_product(T, d, G, rows_of, a->gk, row);
    dd_avx2_pack_panels_(T, d, a->gatt, a->att_row, 1, rows_of);
    upper_product(T, d, a->P, rows_of, a->gv, row);
}
