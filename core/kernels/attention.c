/* SPDX-License-Identifier: MIT
 * One head's causal attention. Chains run in tiles of several rows where all of them take part; at
 * the diagonal, where rows begin or end, each goes its own way. Masked terms are absent, never
 * multiplied by zero. Rows of scores are worked on in scratch, padded to whole vectors: scores
 * beyond the diagonal may be computed there, but no chain and no output sees them. */
#include <assert.h>
#include <math.h>

#include "set.h"
#include "softmax.h"
#include "streaming.h"
#include "tile.h"
#include "vector.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Up to whole vectors. */
static size_t padded(size_t n)
{
    return (n + 15) / 16 * 16;
}

/* Floats from one row of scores to the next: one vector more, lest the rows of a column fall into
 * few sets of the cache. */
static size_t scores_pitch(size_t T)
{
    return padded(T) + 16;
}

/* Rows taken at a time, and columns of a tile: chains enough for the FMA units. More rows would
 * only widen the diagonal, where scores are computed that nobody sees. */
enum { ROWS = DD_TILE_ROWS < 8 ? DD_TILE_ROWS : 8, COLS = DD_TILE_PANELS * DD_TILE_COLS };

size_t DD_SET_NAME(attention_scratch)(size_t max_T, size_t max_d)
{
    /* columns in panels, rows in panels, and all rows of G or twice those taken at a time */
    const size_t rows = max_T > 2 * ROWS ? max_T : 2 * ROWS;
    return sizeof(float) * (dd_panels_size(max_d, max_T) + dd_panels_size(max_T, max_d) +
                            rows * scores_pitch(max_T));
}

/* S[t][s] = chain(i < d: x[t][i] * y[s][i]; +0) for `rows` rows from t0 on, s < padded(t0 + rows);
 * x and S begin with row t0, y^T in panels */
static void scores(size_t t0, size_t rows, size_t d, const float *x, size_t x_row,
                   const float *y_panels, float *S, size_t pitch)
{
    const size_t y_pitch = dd_panel_pitch(d), end = padded(t0 + rows);
    for (size_t s = 0; s < end; s += COLS, y_panels += DD_TILE_PANELS * y_pitch) {
        const dd_tile tile = {.rows = rows,
                              .cols = least(end - s, COLS),
                              .K = d,
                              .a = x,
                              .a_row = x_row,
                              .a_col = 1,
                              .b = y_panels,
                              .b_pitch = y_pitch,
                              .from = DD_SET_NAME(zeros),
                              .to = S + s,
                              .to_row = pitch};
        DD_SET_NAME(tile)(&tile);
    }
}

/* A square at the diagonal, where a product's rows end or begin, and one panel of its other factor.
 */
typedef struct corner {
    size_t cols; /* sixteen are taken at most */
    const float *a;
    size_t a_row, a_col; /* of a(i, k) */
    const float *x;      /* one panel */
    float *out;
    size_t out_row;
} corner;

/* out[i] = chain(k >= i: a(i, k) * x[k]; +0) if upper, else chain(k <= i: a(i, k) * x[k]; out[i]).
 * What is const here is constant at most calls, and the chains are registers. */
DD_INLINE_ void corner_chains(const corner *c, const bool upper, const size_t rows,
                              const size_t cols)
{
    dd_v16 chain[ROWS];
#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS; i++)
        chain[i] =
            upper || i >= rows ? dd_v16_set(0.0f) : dd_v16_load(c->out + i * c->out_row, cols);
#pragma GCC unroll 8
    for (size_t k = 0; k < ROWS; k++) {
        if (k >= rows)
            break;
        const dd_v16 x = dd_v16_load(c->x + k * DD_TILE_COLS, 16);
#pragma GCC unroll 8
        for (size_t i = 0; i < ROWS; i++)
            if (upper ? i <= k : i >= k && i < rows)
                chain[i] = dd_v16_fma(dd_v16_set(c->a[i * c->a_row + k * c->a_col]), x, chain[i]);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS; i++)
        if (i < rows)
            dd_v16_store(c->out + i * c->out_row, cols, chain[i]);
}

DD_INLINE_ void corner_product(const corner *c, const bool upper, size_t rows)
{
    if (rows == ROWS && c->cols >= 16)
        corner_chains(c, upper, ROWS, 16);
    else
        corner_chains(c, upper, rows, c->cols);
}

/* out[t] = chain(s <= t: L[t][s] * x[s]; +0) for the same rows, L and out the first of them; x (T,
 * d) in panels */
static void lower_product(size_t t0, size_t rows, size_t T, size_t d, const float *L, size_t L_row,
                          const float *x_panels, float *out, size_t out_row)
{
    const size_t pitch = dd_panel_pitch(T);
    for (size_t i = 0; i < d; i += COLS) {
        const dd_tile tile = {.rows = rows,
                              .cols = least(d - i, COLS),
                              .K = t0,
                              .a = L,
                              .a_row = L_row,
                              .a_col = 1,
                              .b = x_panels + i / DD_TILE_COLS * pitch,
                              .b_pitch = pitch,
                              .from = DD_SET_NAME(zeros),
                              .to = out + i,
                              .to_row = out_row};
        DD_SET_NAME(tile)(&tile);
    }
    for (size_t i = 0; i < d; i += DD_TILE_COLS) {
        const corner c = {.cols = d - i,
                          .a = L + t0,
                          .a_row = L_row,
                          .a_col = 1,
                          .x = x_panels + i / DD_TILE_COLS * pitch + t0 * DD_TILE_COLS,
                          .out = out + i,
                          .out_row = out_row};
        corner_product(&c, false, rows);
    }
}

/* out[s] = chain(t >= s: L[t][s] * x[t]; +0), t ascending, for all rows s; x (T, d) in panels */
static void upper_product(size_t T, size_t d, const float *L, size_t L_row, const float *x_panels,
                          float *out, size_t out_row)
{
    const size_t pitch = dd_panel_pitch(T);
    for (size_t s0 = 0; s0 < T; s0 += ROWS, out += ROWS * out_row) {
        const size_t rows = least(T - s0, ROWS), t0 = s0 + rows;
        for (size_t i = 0; i < d; i += DD_TILE_COLS) {
            const corner c = {.cols = d - i,
                              .a = L + s0 * L_row + s0,
                              .a_row = 1,
                              .a_col = L_row,
                              .x = x_panels + i / DD_TILE_COLS * pitch + s0 * DD_TILE_COLS,
                              .out = out + i,
                              .out_row = out_row};
            corner_product(&c, true, rows);
        }
        for (size_t i = 0; i < d && t0 < T; i += COLS) {
            const dd_tile tile = {.rows = rows,
                                  .cols = least(d - i, COLS),
                                  .K = T - t0,
                                  .a = L + t0 * L_row + s0,
                                  .a_row = 1,
                                  .a_col = L_row,
                                  .b = x_panels + i / DD_TILE_COLS * pitch + t0 * DD_TILE_COLS,
                                  .b_pitch = pitch,
                                  .from = out + i,
                                  .from_row = out_row,
                                  .to = out + i,
                                  .to_row = out_row};
            DD_SET_NAME(tile)(&tile);
        }
    }
}

/* The largest of a padded row's n scores. Beyond them the first one is put: exp of it costs what
 * the others' do, exp of what stood there may be denormal and cost a hundred times as much. */
static float padded_max(size_t n, float *row)
{
    if (n % 16) {
        float *last = row + n / 16 * 16;
        dd_v16_store(last, 16, dd_v16_keep(dd_v16_set(row[0]), dd_v16_load(last, 16), n % 16));
    }
    return dd_row_max(padded(n), row);
}

/* The same rows of S to softmax(S * sigma), and to P, each step for all rows: one row alone would
 * wait for itself. As sigma > 0 and rounding is monotonic, the largest S * sigma is the largest S
 * times sigma. stream: whole lines of P are written past the caches. */
static void softmax(size_t t0, size_t rows, float sigma, float *S, float *power, size_t pitch,
                    float *P, size_t P_row, bool stream)
{
    const dd_v16 scale = dd_v16_set(sigma);
    float M[ROWS], inv[ROWS];
    for (size_t r = 0; r < rows; r++)
        M[r] = padded_max(t0 + r + 1, S + r * pitch) * sigma;
    for (size_t r = 0; r < rows; r++) {
        const dd_v16 top = dd_v16_set(M[r]);
        float *e = S + r * pitch;
        for (size_t s = 0; s < t0 + r + 1; s += 16)
            dd_row_exp_reduce(e + s, 16, scale, top, e + s, power + r * pitch + s);
    }
    for (size_t r = 0; r < rows; r++) {
        dd_v16 p = dd_v16_set(0.0f);
        float *e = S + r * pitch;
        for (size_t s = 0; s < t0 + r + 1; s += 16) {
            const dd_v16 v = dd_row_exp_of(e + s, power + r * pitch + s);
            dd_v16_store(e + s, 16, v);
            p = dd_v16_keep(p, dd_v16_add(p, v), t0 + r + 1 - s);
        }
        inv[r] = 1.0f / dd_v16_combine(p);
    }
    for (size_t r = 0; r < rows; r++) {
        const size_t n = t0 + r + 1;
        const dd_v16 v = dd_v16_set(inv[r]);
        float *e = S + r * pitch, *to = P + n * P_row - P_row;
        for (size_t s = 0; s < n; s += 16) {
            const dd_v16 p = dd_v16_mul(dd_v16_load(e + s, 16), v);
            dd_v16_store(e + s, 16, p);
            if (stream && n - s >= 16)
                dd_v16_stream(to + s, p);
            else
                dd_v16_store(to + s, n - s, p);
        }
    }
}

/* Asks for `rows` rows of n floats each, which lie cold. */
DD_INLINE_ void fetch(const float *a, size_t a_row, size_t rows, size_t n, const int to_write)
{
    for (size_t t = 0; t < rows; t++, a += a_row)
        for (size_t i = 0; i < n; i += 16)
            if (to_write)
                __builtin_prefetch(a + i, 1, 3);
            else
                __builtin_prefetch(a + i, 0, 3);
}

static void fetch_operands(const dd_attention *a, size_t t0, size_t rows)
{
    const size_t row = a->qkv_row, at = t0 * row;
    fetch(a->q + at, row, rows, a->d, 0);
    fetch(a->k + at, row, rows, a->d, 0);
    fetch(a->v + at, row, rows, a->d, 0);
}

/* Bytes from which on P is written past the caches: until it is read again, by the backward pass,
 * it would not stay there anyway. */
#define STREAMED ((size_t)64 << 10)

static bool is_streamed(const dd_attention *a)
{
    return a->T % 16 == 0 && (uintptr_t)a->P % 64 == 0 && a->T * a->T * sizeof *a->P >= STREAMED;
}

void DD_SET_NAME(attention_forward)(const dd_attention *a, void *scratch)
{
    assert(a->T && a->d);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t T = a->T, d = a->d;
    const float sigma = 1.0f / sqrtf((float)d);
    const bool stream = is_streamed(a);
    float *k_columns = scratch;
    float *v_rows = k_columns + dd_panels_size(d, T);
    float *S = v_rows + dd_panels_size(T, d);
    const size_t pitch = scores_pitch(T);
    float *power = S + ROWS * pitch;
    DD_SET_NAME(pack_panels)(d, T, a->k, 1, a->qkv_row, k_columns);
    DD_SET_NAME(pack_panels)(T, d, a->v, a->qkv_row, 1, v_rows);
    for (size_t t0 = 0; t0 < T; t0 += ROWS) {
        const size_t rows = least(T - t0, ROWS);
        /* of what is streamed the last vectors alone, which are stored as they are not whole */
        const size_t first = stream ? t0 / 16 * 16 : 0;
        fetch(a->P + t0 * T + first, T, rows, t0 + rows - first, 1);
        if (a->next) {
            fetch_operands(a->next, t0, rows);
            fetch(a->next->att + t0 * a->att_row, a->att_row, rows, d, 1);
        }
        scores(t0, rows, d, a->q + t0 * a->qkv_row, a->qkv_row, k_columns, S, pitch);
        softmax(t0, rows, sigma, S, power, pitch, a->P, T, stream);
        lower_product(t0, rows, T, d, S, pitch, v_rows, a->att + t0 * a->att_row, a->att_row);
    }
    if (stream)
        dd_streaming_end();
}

void DD_SET_NAME(attention_kept)(const dd_attention_kept *a, void *scratch)
{
    assert(a->n && a->d && a->first + a->n <= a->T);
    assert((uintptr_t)scratch % 64 == 0);
    const size_t d = a->d, pitch = scores_pitch(a->T);
    const float sigma = 1.0f / sqrtf((float)d);
    float *S = scratch, *power = S + ROWS * pitch;
    float *nobody = power; /* every row of P to the same place, of no use any more by then */
    for (size_t r = 0; r < a->n; r += ROWS) {
        const size_t rows = least(a->n - r, ROWS), t0 = a->first + r;
        scores(t0, rows, d, a->q + r * a->q_row, a->q_row, a->keys, S, pitch);
        softmax(t0, rows, sigma, S, power, pitch, nobody, 0, false);
        lower_product(t0, rows, a->T, d, S, pitch, a->values, a->att + r * a->att_row, a->att_row);
    }
}

/* g holds dP and becomes G = (P * (dP - D)) * sigma, D = dot16(P, dP); both are padded, what
 * stands beyond n becomes anything */
static void softmax_backward(size_t n, const float *P, float sigma, float *g)
{
    const size_t whole = n / 16 * 16;
    dd_v16 p = dd_v16_set(0.0f), last = p;
    for (size_t s = 0; s < whole; s += 16)
        p = dd_v16_fma(dd_v16_load(P + s, 16), dd_v16_load(g + s, 16), p);
    if (whole < n) {
        last = dd_v16_load(P + whole, n - whole);
        p = dd_v16_keep(p, dd_v16_fma(last, dd_v16_load(g + whole, 16), p), n - whole);
    }
    const dd_v16 D = dd_v16_set(dd_v16_combine(p)), scales = dd_v16_set(sigma);
    for (size_t s = 0; s < n; s += 16) {
        const dd_v16 below = dd_v16_sub(dd_v16_load(g + s, 16), D);
        const dd_v16 of = s < whole ? dd_v16_load(P + s, 16) : last;
        dd_v16_store(g + s, 16, dd_v16_mul(dd_v16_mul(of, below), scales));
    }
}

static void fetch_backward(const dd_attention *a, size_t t0, size_t rows)
{
    const size_t row = a->qkv_row, at = t0 * row;
    fetch_operands(a, t0, rows);
    fetch(a->gatt + t0 * a->att_row, a->att_row, rows, a->d, 0);
    fetch(a->P + t0 * a->T, a->T, rows, t0 + rows, 0);
    fetch(a->gq + at, row, rows, a->d, 1);
    fetch(a->gk + at, row, rows, a->d, 1);
    fetch(a->gv + at, row, rows, a->d, 1);
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
    const size_t pitch = scores_pitch(T);
    DD_SET_NAME(pack_panels)(d, T, a->v, 1, row, v_columns);
    DD_SET_NAME(pack_panels)(T, d, a->k, row, 1, rows_of);
    for (size_t t0 = 0; t0 < T; t0 += ROWS) {
        const size_t rows = least(T - t0, ROWS);
        fetch(a->P + t0 * T, T, rows, t0 + rows, 0);
        if (a->next)
            fetch_backward(a->next, t0, rows);
        scores(t0, rows, d, a->gatt + t0 * a->att_row, a->att_row, v_columns, G + t0 * pitch,
               pitch);
        for (size_t t = t0; t < t0 + rows; t++)
            softmax_backward(t + 1, a->P + t * T, sigma, G + t * pitch);
        lower_product(t0, rows, T, d, G + t0 * pitch, pitch, rows_of, a->gq + t0 * row, row);
    }
    DD_SET_NAME(pack_panels)(T, d, a->q, row, 1, rows_of);
    upper_product(T, d, G, pitch, rows_of, a->gk, row);
    DD_SET_NAME(pack_panels)(T, d, a->gatt, a->att_row, 1, rows_of);
    upper_product(T, d, a->P, T, rows_of, a->gv, row);
}
