/* SPDX-License-Identifier: MIT
 * One head's causal attention. Chains run in tiles of several rows where all of them take part; at
 * the diagonal, where rows begin or end, each goes its own way. Masked terms are absent, never
 * multiplied by zero. Scores beyond the diagonal may be computed, but no chain and no memory sees
 * them. */
#include <assert.h>
#include <math.h>

#include "set.h"
#include "softmax.h"
#include "tile.h"
#include "vector.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t DD_SET_NAME(attention_scratch)(size_t max_T, size_t max_d)
{
    /* columns in panels, rows in panels, G */
    return sizeof(float) *
           (dd_panels_size(max_d, max_T) + dd_panels_size(max_T, max_d) + max_T * max_T);
}

/* Rows taken at a time, and columns of a tile: chains enough for the FMA units. More rows would
 * only widen the diagonal, where rows go one by one. */
enum { ROWS = DD_TILE_ROWS < 8 ? DD_TILE_ROWS : 8, COLS = DD_TILE_PANELS * DD_TILE_COLS };

/* S[t][s] = chain(i < d: x[t][i] * y[s][i]; +0) for rows t0 <= t < t0 + rows, s <= t; y^T in panels
 */
static void scores(size_t t0, size_t rows, size_t T, size_t d, const float *x, size_t x_row,
                   const float *y_panels, float *S)
{
    const size_t pitch = dd_panel_pitch(d), end = t0 + rows;
    size_t cols;
    for (size_t s0 = 0; s0 < end; s0 += cols, y_panels += cols / DD_TILE_COLS * pitch) {
        cols = end - s0 > DD_TILE_COLS ? COLS : DD_TILE_COLS;
        const bool below = s0 + cols <= t0 + 1; /* all rows have all columns */
        float corner[ROWS * COLS];
        float *to = below ? S + t0 * T + s0 : corner;
        const dd_tile tile = {.rows = rows,
                              .cols = cols,
                              .K = d,
                              .a = x + t0 * x_row,
                              .a_row = x_row,
                              .a_col = 1,
                              .b = y_panels,
                              .b_pitch = pitch,
                              .from = DD_SET_NAME(zeros),
                              .to = to,
                              .to_row = below ? T : COLS,
                              .to_next = to,
                              .ahead = (const char *)to};
        DD_SET_NAME(tile)(&tile);
        if (below)
            continue;
        for (size_t t = t0; t < end; t++)
            for (size_t j = 0; j < cols && s0 + j <= t; j += 16)
                dd_v16_store(S + t * T + s0 + j, t + 1 - s0 - j,
                             dd_v16_load(corner + (t - t0) * COLS + j, 16));
    }
}

/* out = chain(k < K: a[k * a_col] * x[k]; from) for n <= 16 columns, x one panel */
static void row_chain(size_t n, size_t K, const float *a, size_t a_col, const float *x, dd_v16 from,
                      float *out)
{
    for (size_t k = 0; k < K; k++)
        from = dd_v16_fma(dd_v16_set(a[k * a_col]), dd_v16_load(x + k * DD_TILE_COLS, 16), from);
    dd_v16_store(out, n, from);
}

/* out[t] = chain(s <= t: L[t][s] * x[s]; +0) for the same rows; x (T, d) in panels */
static void lower_product(size_t t0, size_t rows, size_t T, size_t d, const float *L,
                          const float *x_panels, float *out, size_t out_row)
{
    const size_t pitch = dd_panel_pitch(T);
    for (size_t i = 0; i < d; i += COLS) {
        float *to = out + t0 * out_row + i;
        const dd_tile tile = {.rows = rows,
                              .cols = least(d - i, COLS),
                              .K = t0 + 1,
                              .a = L + t0 * T,
                              .a_row = T,
                              .a_col = 1,
                              .b = x_panels + i / DD_TILE_COLS * pitch,
                              .b_pitch = pitch,
                              .from = DD_SET_NAME(zeros),
                              .to = to,
                              .to_row = out_row,
                              .to_next = to,
                              .ahead = (const char *)to};
        DD_SET_NAME(tile)(&tile);
    }
    for (size_t i = 0; i < d; i += DD_TILE_COLS, x_panels += pitch)
        for (size_t t = t0 + 1; t < t0 + rows; t++) {
            float *to = out + t * out_row + i;
            row_chain(d - i, t - t0, L + t * T + t0 + 1, 1, x_panels + (t0 + 1) * DD_TILE_COLS,
                      dd_v16_load(to, d - i), to);
        }
}

/* out[s] = chain(t >= s: L[t][s] * x[t]; +0), t ascending, for all rows s; x (T, d) in panels */
static void upper_product(size_t T, size_t d, const float *L, const float *x_panels, float *out,
                          size_t out_row)
{
    const size_t pitch = dd_panel_pitch(T);
    for (size_t s0 = 0; s0 < T; s0 += ROWS) {
        const size_t rows = least(T - s0, ROWS), t0 = s0 + rows;
        for (size_t i = 0; i < d; i += DD_TILE_COLS)
            for (size_t s = s0; s < t0; s++)
                row_chain(d - i, t0 - s, L + s * T + s, T,
                          x_panels + i / DD_TILE_COLS * pitch + s * DD_TILE_COLS, dd_v16_set(0.0f),
                          out + s * out_row + i);
        for (size_t i = 0; i < d && t0 < T; i += COLS) {
            float *to = out + s0 * out_row + i;
            const dd_tile tile = {.rows = rows,
                                  .cols = least(d - i, COLS),
                                  .K = T - t0,
                                  .a = L + t0 * T + s0,
                                  .a_row = 1,
                                  .a_col = T,
                                  .b = x_panels + i / DD_TILE_COLS * pitch + t0 * DD_TILE_COLS,
                                  .b_pitch = pitch,
                                  .from = to,
                                  .from_row = out_row,
                                  .to = to,
                                  .to_row = out_row,
                                  .to_next = to,
                                  .ahead = (const char *)to};
            DD_SET_NAME(tile)(&tile);
        }
    }
}

/* Rows t0 <= t < t0 + rows of S to softmax(S * sigma), each step for all rows: one row alone would
 * wait for itself. As sigma > 0 and rounding is monotonic, the largest S * sigma is the largest S
 * times sigma. */
static void softmax(size_t t0, size_t rows, size_t T, float sigma, float *S)
{
    float M[ROWS], inv[ROWS];
    S += t0 * T;
    for (size_t r = 0; r < rows; r++)
        M[r] = dd_row_max(t0 + r + 1, S + r * T) * sigma;
    for (size_t r = 0; r < rows; r++)
        inv[r] = 1.0f / dd_row_exp(t0 + r + 1, S + r * T, sigma, M[r], S + r * T);
    for (size_t r = 0; r < rows; r++) {
        const size_t n = t0 + r + 1;
        const dd_v16 v = dd_v16_set(inv[r]);
        float *e = S + r * T;
        for (size_t s = 0; s < n; s += 16)
            dd_v16_store(e + s, n - s, dd_v16_mul(dd_v16_load(e + s, n - s), v));
    }
}

void DD_SET_NAME(attention_forward)(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t T = a->T, d = a->d;
    const float sigma = 1.0f / sqrtf((float)d);
    float *k_columns = scratch;
    float *v_rows = k_columns + dd_panels_size(d, T);
    DD_SET_NAME(pack_panels)(d, T, a->k, 1, a->qkv_row, k_columns);
    DD_SET_NAME(pack_panels)(T, d, a->v, a->qkv_row, 1, v_rows);
    for (size_t t0 = 0; t0 < T; t0 += ROWS) {
        const size_t rows = least(T - t0, ROWS);
        scores(t0, rows, T, d, a->q, a->qkv_row, k_columns, a->P);
        softmax(t0, rows, T, sigma, a->P);
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

void DD_SET_NAME(attention_backward)(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t T = a->T, d = a->d, row = a->qkv_row;
    const float sigma = 1.0f / sqrtf((float)d);
    float *v_columns = scratch;
    float *rows_of = v_columns + dd_panels_size(d, T);
    float *G = rows_of + dd_panels_size(T, d);
    DD_SET_NAME(pack_panels)(d, T, a->v, 1, row, v_columns);
    DD_SET_NAME(pack_panels)(T, d, a->k, row, 1, rows_of);
    for (size_t t0 = 0; t0 < T; t0 += ROWS) {
        const size_t rows = least(T - t0, ROWS);
        scores(t0, rows, T, d, a->gatt, a->att_row, v_columns, G);
        for (size_t t = t0; t < t0 + rows; t++)
            softmax_backward(t + 1, a->P + t * T, sigma, G + t * T);
        lower_product(t0, rows, T, d, G, rows_of, a->gq, row);
    }
    DD_SET_NAME(pack_panels)(T, d, a->q, row, 1, rows_of);
    upper_product(T, d, G, rows_of, a->gk, row);
    DD_SET_NAME(pack_panels)(T, d, a->gatt, a->att_row, 1, rows_of);
    upper_product(T, d, a->P, rows_of, a->gv, row);
}
