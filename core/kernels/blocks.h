/* SPDX-License-Identifier: MIT
 * How the products of a SIMD set cut a range into blocks and rows into tiles. */
#ifndef DD_BLOCKS_H
#define DD_BLOCKS_H

#include <stddef.h>

#include "tile.h"

static inline size_t dd_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The i-th of `parts` shares of n: a multiple of `unit` but for the end, sizes as even as that
 * allows. */
static inline size_t dd_cut(size_t n, size_t i, size_t parts, size_t unit)
{
    const size_t units = (n + unit - 1) / unit;
    return dd_least(n, i * units / parts * unit);
}

static inline size_t dd_parts_of(size_t n, size_t most)
{
    return (n + most - 1) / most;
}

/* Rows shared out among as few tiles as hold them; the first `longer` have one row more than the
 * others. */
typedef struct dd_row_tiles {
    size_t n, rows, longer;
} dd_row_tiles;

static inline dd_row_tiles dd_row_tiles_of(size_t rows)
{
    const size_t n = dd_parts_of(rows, DD_TILE_ROWS);
    return (dd_row_tiles){n, rows / n, rows % n};
}

#endif
