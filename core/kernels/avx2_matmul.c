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
    float panels[KC * NC];              /* the right operand's block */
    float rows[ROW_TILES * ROWS_PITCH]; /* the left operand's block, where it needs packing */
    float held[MC * NC];                /* chains that C cannot hold meanwhile */
} workspace;

size_t dd_avx2_matmul_scratch_(size_t max_n, size_t max_k)
{
    (void)max_n;
    (void)max_k;
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

/* a(i, k) = a[i + k * a_col] to one run of [k][i] per tile. k outermost: the source is read as it
 * lies. */
static void pack_rows(row_tiles tiles, size_t K, const float *a, size_t a_col, float *out)
{
    for (size_t k = 0; k < K; k++, a += a_col) {
        const float *from = a;
        for (size_t i = 0; i < tiles.n; i++) {
            const size_t rows = tiles.rows + (i < tiles.longer);
            const __m256 v = _mm256_maskload_ps(from, dd_mask8(rows));
            _mm256_storeu_ps(out + i * ROWS_PITCH + k * rows, v);
            from += rows;
        }
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
                     .b = w->panels + j * b->K,
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
 * columns are broadcast and A's rows in vectors. The chains are the same. */
static void multiply(const dd_matmul *m, bool flipped, workspace *w)
{
    const size_t rows = flipped ? m->N : m->M, cols = flipped ? m->M : m->N;
    const float *a = flipped ? m->b : m->a, *b = flipped ? m->a : m->b;
    const size_t a_row = flipped ? m->b_col : m->a_row, a_col = flipped ? m->b_row : m->a_col;
    const size_t b_row = flipped ? m->a_col : m->b_row, b_col = flipped ? m->a_row : m->b_col;
    const size_t row_parts = parts_of(rows, MC), col_parts = parts_of(cols, NC);
    const size_t k_parts = parts_of(m->K, KC);
    /* C holds the chain between parts of k, unless it holds something else or lies across */
    const bool apart = flipped || (m->sink == DD_FOLD && k_parts > 1);
    for (size_t jc = 0; jc < col_parts; jc++) {
        const size_t c0 = cut(cols, jc, col_parts, DD_TILE_COLS);
        const size_t nc = cut(cols, jc + 1, col_parts, DD_TILE_COLS) - c0;
        for (size_t ic = 0; ic < row_parts; ic++) {
            const size_t r0 = cut(rows, ic, row_parts, DD_TILE_ROWS);
            const size_t nr = cut(rows, ic + 1, row_parts, DD_TILE_ROWS) - r0;
            float *c = m->c + r0 * m->c_row + c0;
            if (flipped)
                start_flipped(m, r0, nr, c0, nc, w->held);
            for (size_t kc = 0; kc < k_parts; kc++) {
                const size_t k0 = cut(m->K, kc, k_parts, 8);
                const size_t nk = cut(m->K, kc + 1, k_parts, 8) - k0;
                const bool last = kc + 1 == k_parts;
                if (ic == 0 || k_parts > 1)
                    dd_avx2_pack_panels_(nk, nc, b + k0 * b_row + c0 * b_col, b_row, b_col,
                                         w->panels);
                block x = {.rows = nr,
                           .cols = nc,
                           .K = nk,
                           .a = a + r0 * a_row + k0 * a_col,
                           .a_row = a_row,
                           .a_col = a_col,
                           .from = apart ? w->held : c,
                           .from_row = apart ? NC : m->c_row,
                           .from_col = 1,
                           .to = apart ? w->held : c,
                           .to_row = apart ? NC : m->c_row};
                if (!flipped) {
                    if (kc == 0 && m->sink != DD_RESUME) {
                        x.from = m->bias ? m->bias + c0 : dd_avx2_zeros_;
                        x.from_row = 0;
                        x.from_col = m->bias ? 1 : 0;
                    }
                    if (last && m->sink == DD_FOLD) {
                        x.to = c;
                        x.to_row = m->c_row;
                        x.fold = true;
                    }
                }
                multiply_block(&x, w);
            }
            if (flipped)
                dd_avx2_transpose_(nr, nc, w->held, NC, m->c + c0 * m->c_row + r0, m->c_row,
                                   m->sink == DD_FOLD);
        }
    }
}

/* Whether turning A and C over is cheaper than turning B over, in sixteenths of a cycle: 6 to
 * transpose an element, 8 if it is stored by way of `held`, 1 for each product of an absent column.
 */
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
    multiply(m, flip_pays(m), scratch);
}
