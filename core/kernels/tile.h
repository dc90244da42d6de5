/* SPDX-License-Identifier: MIT
 * The register tile under a SIMD set's matrix product and attention: a block of chains in registers
 * whose right operand comes in panels of sixteen columns; and the packing of such panels. */
#ifndef DD_TILE_H
#define DD_TILE_H

#include <stdbool.h>
#include <stddef.h>

#include "set.h"
#include "vector.h"

/* Columns of a panel, rows and panels of a tile. Two FMA units of latency 4 or 5 want ten registers
 * of chains or more; what is left holds a row of the panels and a broadcast. */
enum { DD_TILE_COLS = 16 };
#if DD_VECTOR_REGISTERS == 1
enum { DD_TILE_ROWS = 14, DD_TILE_PANELS = 2 };
#else
enum { DD_TILE_ROWS = 6, DD_TILE_PANELS = 1 };
#endif

/* The panels that pass during a tile drive the lines where it will write out of L1. Its stores
 * miss, and waiting for all of them at its end costs up to 7 % of a tile of many rows. Therefore
 * its values may leave while later tiles run, a row for each eight k. Whoever runs tiles sees to it
 * that the last ones leave, and that none are read before. */
typedef struct dd_leaving {
    _Alignas(64) float value[DD_TILE_ROWS * DD_TILE_PANELS * DD_TILE_COLS];
    float *to; /* where its next row goes */
    size_t to_row, row, rows, cols;
} dd_leaving;

/* Rows of `to` between fetching one and writing it. */
enum { DD_LEAVE_AHEAD = 4 };

/* Where values do not leave, the lines are fetched once more LATE k before a tile's end. Short
 * tiles of attention, whose memory is near, do without: less than LONG. */
enum { DD_TILE_LATE = 32, DD_TILE_LONG = 192 };

/* One row of a tile's `panels`, inside of a later tile: out and value move on, `leaves` counts. */
#define DD_LEAVE(panels, out, out_row, value, leaves)                                              \
    do {                                                                                           \
        __builtin_prefetch((out) + DD_LEAVE_AHEAD * (out_row), 1, 3);                              \
        dd_v16_store(out, 16, dd_v16_load(value, 16));                                             \
        if ((panels) > 1) {                                                                        \
            __builtin_prefetch((out) + DD_LEAVE_AHEAD * (out_row) + 16, 1, 3);                     \
            dd_v16_store((out) + 16, 16, dd_v16_load((value) + 16, 16));                           \
        }                                                                                          \
        (value) += DD_TILE_PANELS * DD_TILE_COLS;                                                  \
        (out) += (out_row);                                                                        \
        (leaves)--;                                                                                \
    } while (0)

/* Nothing leaves yet. */
static inline void dd_leaving_begin(dd_leaving *l)
{
    l->row = l->rows = l->cols = 0;
}

/* What is left of it, at once. */
void DD_SET_NAME(leave)(dd_leaving *l);

/* to(i, j) = chain(k < K: a(i, k) * b(k, j); from(i, j)) for i < rows, j < cols; with fold
 * to(i, j) = to(i, j) + that chain
 * shapes   1 <= rows <= DD_TILE_ROWS, 1 <= cols <= DD_TILE_PANELS * 16; a(i, k) = a[i * a_row +
 *          k * a_col]; b a panel, 64-byte aligned, the second one b_pitch floats on; from and to
 *          have contiguous columns, from_row 0 gives every row the same start
 * leaving  NULL: to is written before the return. Else what was leaving before goes on to do so,
 *          and with `leaves` the tile's values take its place, unless they are folded or the last
 *          panel lacks columns
 * fetches  the lines of to_next, where the next tile will write, and from ahead, memory of later
 *          use, one line for each eight k in steps of ahead_step bytes, and as much from b_pitch
 *          floats on if there are two panels. Either may be NULL, or point anywhere
 * alias    from == to allowed                                                              */
typedef struct dd_tile {
    size_t rows, cols, K;
    const float *a;
    size_t a_row, a_col;
    const float *b;
    size_t b_pitch;
    const float *from;
    size_t from_row;
    float *to;
    size_t to_row;
    const float *to_next;
    const char *ahead;
    size_t ahead_step;
    dd_leaving *leaving;
    bool leaves, fold;
} dd_tile;

void DD_SET_NAME(tile)(const dd_tile *t);

/* A start of +0 for all rows (from_row 0). */
extern const float DD_SET_NAME(zeros)[DD_TILE_PANELS * DD_TILE_COLS];

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

/* Copies K x n of b(k, j) = b[k * b_row + j * b_col], one stride being 1, to panels of
 * dd_panel_pitch(K): panel p holds columns 16p to 16p + 15 as K rows of sixteen floats, absent
 * columns as zeros. */
void DD_SET_NAME(pack_panels)(size_t K, size_t n, const float *b, size_t b_row, size_t b_col,
                              float *panels);

#endif
