/* SPDX-License-Identifier: MIT
 * AVX2: the matrix product, as register tiles over packed panels (Goto and van de Geijn 2008). A
 * panel of the right operand stays in L1, a block of panels in L2. Every element is one chain in
 * ascending k: where k is cut, the chain goes on from what the tile before stored. Refuses to cut
 * it otherwise. */
#include <assert.h>

#include "avx2_sets.h"
#include "avx2_tile.h"
#include "avx2_vector.h"

/* Most rows, columns and k of a block. KC x 16 floats are a panel: 16 KiB of L1. */
enum { MC = 252, NC = 256, KC = 256 };
/* A packed tile of rows; its last store of eight floats runs over by up to seven. */
enum { ROWS_PITCH = DD_TILE_ROWS * KC + 8, ROW_TILES = MC / DD_TILE_ROWS };

typedef struct workspace {
    float panels[(KC + 1) * NC];        /* the right operand's block */
    float rows[ROW_TILES * ROWS_PITCH]; /* the left operand's block, where it needs packing */
    float held[MC * NC];                /* chains that C cannot hold meanwhile */
} workspace;

size_t dd_avx2_matmul_scratch_(void)
{
    return sizeof(workspace);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The i-th of `parts` shares of n: a multiple of `unit` but for the end, sizes as even as that
 * allows. */
static size_t cut(size_t n, size_t i, size_t parts, size_t unit)
{
    const size_t units = (n + unit - 1) / unit;
    return least(n, i * units / parts * unit);
}

static size_t parts_of(size_t n, size_t most)
{
    return (n + most - 1) / most;
}

/* Rows shared out among as few tiles as hold them; the first `longer` have one row more than the
 * others. */
typedef struct row_tiles {
    size_t n, rows, longer;
} row_tiles;

static row_tiles tiles_of(size_t rows)
{
    const size_t n = parts_of(rows, DD_TILE_ROWS);
    return (row_tiles){n, rows / n, rows % n};
}

/* n tiles of `rows` rows each at one k. */
DD_INLINE_ void pack_k(size_t n, size_t rows, const float *a, float *out)
{
    const __m256i mask = dd_mask8(rows);
    for (size_t i = 0; i < n; i++)
        _mm256_storeu_ps(out + i * ROWS_PITCH, _mm256_maskload_ps(a + i * rows, mask));
}

/* a(i, k) = a[i + k * a_col] to one run of [k][i] per tile. k outermost: the source is read as it
 * lies. */
static void pack_rows(row_tiles t, size_t K, const float *a, size_t a_col, float *out)
{
    float *shorter = out + t.longer * ROWS_PITCH;
    for (size_t k = 0; k < K; k++, a += a_col) {
        pack_k(t.longer, t.rows + 1, a, out + k * (t.rows + 1));
        pack_k(t.n - t.longer, t.rows, a + t.longer * (t.rows + 1), shorter + k * t.rows);
    }
}

/* The product with chains starting from and stored to given places: one block. */
typedef struct block {
    size_t rows, cols, K;
    const float *a;
    size_t a_row, a_col;
    const float *from;
    size_t from_row, from_col; /* from_col 0: every column starts alike */
    float *to;
    size_t to_row;
    bool fold;
} block;

static void multiply_block(const block *b, workspace *w)
{
    const row_tiles tiles = tiles_of(b->rows);
    const bool packed = b->a_col != 1;
    if (packed)
        pack_rows(tiles, b->K, b->a, b->a_col, w->rows);
    for (size_t j = 0; j < b->cols; j += DD_TILE_COLS) {
        dd_tile t = {.cols = least(b->cols - j, DD_TILE_COLS),
                     .K = b->K,
                     .b = w->panels + j / DD_TILE_COLS * dd_panel_pitch(b->K),
                     .from_row = b->from_row,
                     .to_row = b->to_row,
                     .fold = b->fold};
        for (size_t i = 0, r = 0; i < tiles.n; i++, r += t.rows) {
            t.rows = tiles.rows + (i < tiles.longer);
            t.a = packed ? w->rows + i * ROWS_PITCH : b->a + r * b->a_row;
            t.a_row = packed ? 1 : b->a_row;
            t.a_col = packed ? t.rows : 1;
            t.from = b->from + r * b->from_row + j * b->from_col;
            t.to = b->to + r * b->to_row + j;
            dd_avx2_tile_(&t);
        }
    }
}

/* Chains of a flipped block start here: held(r, c) for original column r. */
static void start_flipped(const dd_matmul *m, size_t r0, size_t rows, size_t c0, size_t cols,
                          float *held)
{
    if (m->sink == DD_RESUME) {
        dd_avx2_transpose_(cols, rows, m->c + c0 * m->c_row + r0, m->c_row, held, NC, false);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        const dd_v16 start = dd_v16_set(m->bias ? m->bias[r0 + r] : 0.0f);
        for (size_t c = 0; c < cols; c += DD_TILE_COLS)
            dd_v16_store(held + r * NC + c, 16, start);
    }
}

/* C = A B with A's rows broadcast and B's columns in vectors, or, flipped, C^T = B^T A^T: B's
 * columns broadcast and A's rows in vectors. The chains are the same. */
typedef struct product {
    const dd_matmul *m;
    bool flipped;
    size_t rows, cols;
    const float *a, *b;
    size_t a_row, a_col, b_row, b_col;
} product;

static product product_of(const dd_matmul *m, bool flipped)
{
    if (!flipped)
        return (product){.m = m,
                         .rows = m->M,
                         .cols = m->N,
                         .a = m->a,
                         .a_row = m->a_row,
                         .a_col = m->a_col,
                         .b = m->b,
                         .b_row = m->b_row,
                         .b_col = m->b_col};
    return (product){.m = m,
                     .flipped = true,
                     .rows = m->N,
                     .cols = m->M,
                     .a = m->b,
                     .a_row = m->b_col,
                     .a_col = m->b_row,
                     .b = m->a,
                     .b_row = m->a_col,
                     .b_col = m->a_row};
}

/* A block's chains over all of k, by parts. Between these, C holds them, unless it holds something
 * else or lies across. */
static void run_chains(const product *p, size_t r0, size_t rows, size_t c0, size_t cols,
                       bool same_columns, workspace *w)
{
    const dd_matmul *m = p->m;
    const size_t parts = parts_of(m->K, KC);
    const bool apart = p->flipped || (m->sink == DD_FOLD && parts > 1);
    float *held = apart ? w->held : m->c + r0 * m->c_row + c0;
    const size_t held_row = apart ? NC : m->c_row;
    for (size_t i = 0; i < parts; i++) {
        const size_t k0 = cut(m->K, i, parts, 8), K = cut(m->K, i + 1, parts, 8) - k0;
        if (!same_columns || parts > 1)
            dd_avx2_pack_panels_(K, cols, p->b + k0 * p->b_row + c0 * p->b_col, p->b_row, p->b_col,
                                 w->panels);
        block x = {.rows = rows,
                   .cols = cols,
                   .K = K,
                   .a = p->a + r0 * p->a_row + k0 * p->a_col,
                   .a_row = p->a_row,
                   .a_col = p->a_col,
                   .from = held,
                   .from_row = held_row,
                   .from_col = 1,
                   .to = held,
                   .to_row = held_row};
        if (!p->flipped && i == 0 && m->sink != DD_RESUME) {
            x.from = m->bias ? m->bias + c0 : dd_avx2_zeros_;
            x.from_row = 0;
            x.from_col = m->bias ? 1 : 0;
        }
        if (!p->flipped && i + 1 == parts && m->sink == DD_FOLD) {
            x.to = m->c + r0 * m->c_row + c0;
            x.to_row = m->c_row;
            x.fold = true;
        }
        multiply_block(&x, w);
    }
}

static void multiply(const product *p, workspace *w)
{
    const dd_matmul *m = p->m;
    const size_t row_parts = parts_of(p->rows, MC), col_parts = parts_of(p->cols, NC);
    for (size_t j = 0; j < col_parts; j++) {
        const size_t c0 = cut(p->cols, j, col_parts, DD_TILE_COLS);
        const size_t cols = cut(p->cols, j + 1, col_parts, DD_TILE_COLS) - c0;
        for (size_t i = 0; i < row_parts; i++) {
            const size_t r0 = cut(p->rows, i, row_parts, DD_TILE_ROWS);
            const size_t rows = cut(p->rows, i + 1, row_parts, DD_TILE_ROWS) - r0;
            if (p->flipped)
                start_flipped(m, r0, rows, c0, cols, w->held);
            run_chains(p, r0, rows, c0, cols, i > 0, w);
            if (p->flipped)
                dd_avx2_transpose_(rows, cols, w->held, NC, m->c + c0 * m->c_row + r0, m->c_row,
                                   m->sink == DD_FOLD);
        }
    }
}

/* Whether turning A and C over is cheaper than turning B over, in sixteenths of a cycle: an element
 * costs 6 to transpose, 8 by way of `held`; a product of an absent column costs 1. */
static bool flip_pays(const dd_matmul *m)
{
    if (m->b_col == 1 || m->a_col != 1)
        return false;
    const size_t absent = (DD_TILE_COLS - m->M % DD_TILE_COLS) % DD_TILE_COLS;
    return absent * m->N * m->K + 6 * m->M * m->K + 8 * m->M * m->N < 6 * m->N * m->K;
}

void dd_avx2_matmul_(const dd_matmul *m, void *scratch)
{
    assert(m->M && m->N && m->K);
    assert(m->a_row == 1 || m->a_col == 1);
    assert(m->b_row == 1 || m->b_col == 1);
    assert(!(m->sink == DD_RESUME && m->bias));
    assert((uintptr_t)scratch % 64 == 0);
    const product p = product_of(m, flip_pays(m));
    multiply(&p, scratch);
}
