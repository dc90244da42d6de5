/* SPDX-License-Identifier: MIT
 * The register tile under AVX2's matrix product and attention, and the packing it lives on. A tile
 * is up to 6 x 16 chains in twelve registers; its right operand comes in panels of sixteen columns.
 */
#ifndef DD_AVX2_TILE_H
#define DD_AVX2_TILE_H

#include <stdbool.h>
#include <stddef.h>

enum { DD_TILE_ROWS = 6, DD_TILE_COLS = 16 };

/* to(i, j) = chain(k < K: a(i, k) * b(k, j); from(i, j)) for i < rows, j < cols; with fold
 * to(i, j) = to(i, j) + that chain
 * shapes   1 <= rows <= 6, 1 <= cols <= 16; a(i, k) = a[i * a_row + k * a_col]; b a panel, 32-byte
 *          aligned; from and to have contiguous columns, from_row 0 gives every row the same start
 * alias    from == to allowed                                                              */
typedef struct dd_tile {
    size_t rows, cols, K;
    const float *a;
    size_t a_row, a_col;
    const float *b;
    const float *from;
    size_t from_row;
    float *to;
    size_t to_row;
    bool fold;
} dd_tile;

void dd_avx2_tile_(const dd_tile *t);

/* A start of +0 for all rows (from_row 0). */
extern const float dd_avx2_zeros_[DD_TILE_COLS];

/* Floats from one panel of K rows to the next: one row more, lest the same row of all panels fall
 * into one set of the cache. And floats of all panels for n columns. */
static inline size_t dd_panel_pitch(size_t K)
{
    return (K + 1) * DD_TILE_COLS;
}

static inline size_t dd_panels_size(size_t K, size_t n)
{
    return (n + DD_TILE_COLS - 1) / DD_TILE_COLS * dd_panel_pitch(K);
}

/* Copies K x n of b(k, j) = b[k * b_row + j * b_col], one stride being 1, to panels: panel p holds
 * columns 16p to 16p + 15 as K rows of sixteen floats, absent columns as zeros. */
void dd_avx2_pack_panels_(size_t K, size_t n, const float *b, size_t b_row, size_t b_col,
                          float *panels);

/* dst(c, r) = src(r, c), with fold dst(c, r) = dst(c, r) + src(r, c), for r < rows, c < cols */
void dd_avx2_transpose_(size_t rows, size_t cols, const float *src, size_t src_row, float *dst,
                        size_t dst_row, bool fold);

#endif
