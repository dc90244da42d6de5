/* SPDX-License-Identifier: MIT
 * A SIMD set's matrix product: register tiles over panels of sixteen columns, in an order that
 * keeps each operand in the cache that can feed it (after Goto and van de Geijn 2008), and the
 * packing of weights into panels. Every element is one chain in ascending k: where k is cut, the
 * chain goes on from what the tile before stored. Refuses to cut it otherwise. */
#include <assert.h>
#include <string.h>

#include "blocks.h"
#include "set.h"
#include "streaming.h"
#include "tile.h"
#include "transpose.h"
#include "vector.h"

enum {
    TILE_WIDTH = DD_TILE_PANELS * DD_TILE_COLS,
    KS = 768,                           /* most k of a block of the left operand */
    KC = DD_TILE_PANELS > 1 ? KS : 384, /* most k of a tile: 24 KiB of a panel, for L1; two panels
                                           and a tile of rows would not fit it anyway */
    PARTS = KS / KC,                    /* of a stretch of k at most */
    LEFT = 104 << 10,                   /* floats of the left operand packed at once, for L2 */
    RIGHT = 208 << 10,                  /* floats of the right one, for L2 or L3 */
    MC = LEFT / (KC + 1),               /* most rows of a block whose k has several parts */
    RUN = DD_TILE_ROWS <= 8 ? 8 : 16,   /* floats moved for a tile's rows at one k */
    SHARING = 3,                        /* tiles of rows that share a panel in L1 */
    HELD = 8 * TILE_WIDTH,              /* most columns where C cannot hold chains */
};

typedef struct workspace {
    float left[LEFT];
    float right[RIGHT];           /* unless it comes packed */
    float parts[MC * TILE_WIDTH]; /* chains between two parts of k */
    float held[MC * HELD];        /* chains between two stretches of k that C cannot hold */
    dd_leaving leaving;
} workspace;

size_t DD_SET_NAME(matmul_scratch)(void)
{
    return sizeof(workspace);
}

/* ---- One block ---- */

/* A packed tile of the left operand; its last store runs over by less than sixteen floats. */
static size_t tile_pitch(size_t K)
{
    return DD_TILE_ROWS * K + DD_TILE_COLS;
}

/* A block of t.n tiles by K, rows of a being strided, as runs of [k][row]. Of `all` rows from a on,
 * those of other blocks too, a load may run over into the next. */
static void pack_left(const dd_matmul *m, dd_row_tiles t, const float *a, size_t all, size_t K,
                      float *out)
{
    for (size_t k = 0; k < K; k++) /* outermost: a is read as it lies */
        for (size_t q = 0, r = 0; q < t.n; q++) {
            const size_t rows = t.rows + (q < t.longer);
            dd_v16_store(out + q * tile_pitch(K) + k * rows, RUN,
                         dd_v16_load(a + k * m->a_col + r, r + RUN <= all ? RUN : rows));
            r += rows;
        }
}

/* Whether the rows of a tile, as they lie, share one set of an L1 that has eight ways or twelve. */
static bool rows_collide(const dd_matmul *m)
{
    return DD_TILE_ROWS > 8 && m->a_col == 1 && m->a_row * sizeof *m->a % 4096 == 0;
}

/* Floats from row to row of a copy whose rows do not. */
static size_t spread_pitch(size_t K)
{
    return (K / DD_TILE_COLS + 2) * DD_TILE_COLS;
}

static void spread_left(const dd_matmul *m, const float *a, size_t rows, size_t K, float *out)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * spread_pitch(K), a + i * m->a_row, K * sizeof *a);
}

/* rows x cols chains over one stretch of k. Parts of k go through `held`; the first one starts from
 * `from`, the last one ends at `to`. */
typedef struct block {
    const dd_matmul *m;
    dd_row_tiles tiles;
    size_t cols, K, parts;
    const float *a; /* as it lies, or spread */
    size_t a_row;
    const float *packed; /* or NULL */
    const float *panels;
    size_t panel_pitch;
    const float *from;
    size_t from_row, from_col; /* from_col 0: every column starts alike */
    float *to;
    size_t to_row;
    dd_leaving *leaving;
    bool fold;
} block;

/* One part of a block's k: its tile at row 0 and column 0. Dividing is done here, once for all its
 * tiles. */
typedef struct part {
    dd_tile first;
    size_t k0, from_col, to_col; /* strides of from and to along columns */
} part;

static part part_of(const block *b, size_t i, float *held)
{
    const size_t k0 = dd_cut(b->K, i, b->parts, 8);
    part p = {.k0 = k0, .from_col = b->from_col, .to_col = 1};
    p.first = (dd_tile){.K = dd_cut(b->K, i + 1, b->parts, 8) - k0,
                        .b = b->panels + k0 * DD_TILE_COLS,
                        .b_pitch = b->panel_pitch,
                        .from = b->from,
                        .from_row = b->from_row,
                        .to = b->to,
                        .to_row = b->to_row,
                        .leaving = b->leaving,
                        .leaves = b->leaving != NULL,
                        .fold = b->fold};
    if (i > 0) {
        p.first.from = held;
        p.first.from_row = TILE_WIDTH;
        p.from_col = 0;
    }
    if (i + 1 < b->parts) {
        p.first.to = held;
        p.first.to_row = TILE_WIDTH;
        p.first.leaves = p.first.fold = false; /* near already, and read soon */
        p.to_col = 0;
    }
    return p;
}

/* Tile q of the block's rows, which begins at row r, at columns from j. */
static dd_tile tile_of(const block *b, const part *p, size_t q, size_t r, size_t j)
{
    const dd_matmul *m = b->m;
    dd_tile t = p->first;
    t.rows = b->tiles.rows + (q < b->tiles.longer);
    t.cols = dd_least(b->cols - j, TILE_WIDTH);
    if (!b->packed) {
        t.a = b->a + r * b->a_row + p->k0 * m->a_col;
        t.a_row = b->a_row;
        t.a_col = m->a_col;
    } else {
        t.a = b->packed + q * tile_pitch(b->K) + p->k0 * t.rows;
        t.a_row = 1;
        t.a_col = t.rows;
    }
    t.b += j / DD_TILE_COLS * t.b_pitch;
    t.from += r * t.from_row + j * p->from_col;
    t.to += r * t.to_row + j * p->to_col;
    return t;
}

/* Columns outermost: a panel's part stays in L1 while all rows pass; meanwhile the next part of the
 * panels is fetched, evenly. */
static void by_columns(const block *b, float *held)
{
    part parts[PARTS];
    for (size_t i = 0; i < b->parts; i++)
        parts[i] = part_of(b, i, held);
    const size_t eighths = parts[0].first.K / 8 + 1;
    const size_t ahead_step = 8 * DD_TILE_COLS * sizeof(float) / b->tiles.n + 1;
    for (size_t j = 0; j < b->cols; j += TILE_WIDTH)
        for (size_t i = 0; i < b->parts; i++) {
            const size_t panel = (j + (i + 1) / b->parts * TILE_WIDTH) / DD_TILE_COLS;
            const char *ahead =
                (const char *)(parts[(i + 1) % b->parts].first.b + panel * b->panel_pitch);
            for (size_t q = 0, r = 0; q < b->tiles.n; q++) {
                dd_tile t = tile_of(b, &parts[i], q, r, j);
                t.ahead = ahead + q * eighths * ahead_step;
                t.ahead_step = ahead_step;
                t.to_next = t.to + t.rows * t.to_row;
                DD_SET_NAME(tile)(&t);
                r += t.rows;
            }
        }
}

/* Rows outermost: a few tiles of rows stay in L1 while all panels pass, and C is written about as
 * it lies. */
static void by_rows(const block *b)
{
    const part whole = part_of(b, 0, NULL);
    size_t r = 0;
    for (size_t q = 0; q < b->tiles.n; q += SHARING) {
        const size_t n = dd_least(b->tiles.n - q, SHARING);
        dd_tile t[SHARING];
        for (size_t i = 0; i < n; i++) {
            t[i] = tile_of(b, &whole, q + i, r, 0);
            r += t[i].rows;
        }
        for (size_t j = 0; j < b->cols; j += TILE_WIDTH)
            for (size_t i = 0; i < n; i++) {
                t[i].cols = dd_least(b->cols - j, TILE_WIDTH);
                t[i].to_next = t[i].to + TILE_WIDTH;
                DD_SET_NAME(tile)(&t[i]);
                t[i].b += DD_TILE_PANELS * t[i].b_pitch;
                t[i].from += TILE_WIDTH * whole.from_col;
                t[i].to += TILE_WIDTH;
            }
    }
}

/* ---- The product ---- */

/* One stretch of k for some rows and columns of C. Between stretches `mid` holds chains. */
typedef struct stretch {
    size_t r0, rows, j0, cols, k0, K;
    float *mid; /* row r0, column j0 */
    size_t mid_row;
} stretch;

static void multiply_stretch(const dd_matmul *m, const stretch *s, workspace *w)
{
    const bool last = s->k0 + s->K == m->K, resumes = s->k0 > 0 || m->sink == DD_RESUME;
    /* rows that are contiguous lie well enough, if apart; few columns would not pay for a copy */
    const bool pays = s->cols >= 64, spread = pays && rows_collide(m);
    const bool packed = pays && m->a_col != 1;
    const size_t tiles = LEFT / (spread ? DD_TILE_ROWS * spread_pitch(s->K) : tile_pitch(s->K));
    const size_t row_parts = dd_parts_of(s->rows, tiles * DD_TILE_ROWS);
    /* in products, tiles of few rows lose more by moving values twice than by waiting */
    block b = {.m = m,
               .cols = s->cols,
               .K = s->K,
               .parts = dd_parts_of(s->K, KC),
               .leaving = DD_TILE_PANELS > 1 ? &w->leaving : NULL};
    if (m->b) {
        DD_SET_NAME(pack_panels)
        (s->K, s->cols, m->b + s->k0 * m->b_row + s->j0 * m->b_col, m->b_row, m->b_col, w->right);
        b.panels = w->right;
        b.panel_pitch = dd_panel_pitch(s->K);
    } else {
        b.panels = m->panels + s->j0 / DD_TILE_COLS * m->panel_pitch + s->k0 * DD_TILE_COLS;
        b.panel_pitch = m->panel_pitch;
    }
    for (size_t i = 0; i < row_parts; i++) {
        const size_t r = dd_cut(s->rows, i, row_parts, DD_TILE_ROWS);
        const size_t rows = dd_cut(s->rows, i + 1, row_parts, DD_TILE_ROWS) - r;
        float *mid = s->mid + r * s->mid_row;
        b.tiles = dd_row_tiles_of(rows);
        b.a = m->a + (s->r0 + r) * m->a_row + s->k0 * m->a_col;
        b.a_row = m->a_row;
        if (resumes) {
            b.from = mid;
            b.from_row = s->mid_row;
            b.from_col = 1;
        } else {
            b.from = m->bias ? m->bias + s->j0 : DD_SET_NAME(zeros);
            b.from_row = 0;
            b.from_col = m->bias ? 1 : 0;
        }
        b.to = last ? m->c + (s->r0 + r) * m->c_row + s->j0 : mid;
        b.to_row = last ? m->c_row : s->mid_row;
        b.fold = last && m->sink == DD_FOLD;
        if (packed) {
            pack_left(m, b.tiles, b.a, m->M - s->r0 - r, s->K, w->left);
            b.packed = w->left;
        } else if (spread) {
            spread_left(m, b.a, rows, s->K, w->left);
            b.a = w->left;
            b.a_row = spread_pitch(s->K);
        }
        if (b.parts == 1 && m->b)
            by_rows(&b);
        else
            by_columns(&b, w->parts);
    }
    DD_SET_NAME(leave)(&w->leaving);
}

/* All of k for some of the rows and columns of C. */
static void multiply(const dd_matmul *m, stretch s, size_t stretches, workspace *w)
{
    for (size_t i = 0; i < stretches; i++) {
        s.k0 = dd_cut(m->K, i, stretches, 8);
        s.K = dd_cut(m->K, i + 1, stretches, 8) - s.k0;
        multiply_stretch(m, &s, w);
    }
}

/* Most columns taken at once. */
static size_t group_of(const dd_matmul *m, bool apart)
{
    const size_t pitch = dd_panel_pitch(dd_least(m->K, KS)) * DD_TILE_PANELS;
    const size_t most = m->b ? RIGHT / pitch * TILE_WIDTH : m->N;
    return apart ? dd_least(most, HELD) : most;
}

void DD_SET_NAME(matmul)(const dd_matmul *m, void *scratch)
{
    assert(m->M && m->N && m->K);
    assert(m->a_row == 1 || m->a_col == 1);
    assert(m->b ? m->b_row == 1 || m->b_col == 1 : m->panel_pitch % DD_TILE_COLS == 0);
    assert(!(m->sink == DD_RESUME && m->bias));
    assert((uintptr_t)scratch % 64 == 0);
    workspace *w = scratch;
    dd_leaving_begin(&w->leaving);
    const size_t stretches = dd_parts_of(m->K, KS);
    /* what C holds to be added to leaves it no room for chains */
    const bool apart = m->sink == DD_FOLD && stretches > 1;
    const size_t rows = apart ? LEFT / tile_pitch(KS) * DD_TILE_ROWS : m->M;
    const size_t groups = dd_parts_of(m->N, group_of(m, apart));
    for (size_t i = 0; i < groups; i++) {
        const size_t j0 = dd_cut(m->N, i, groups, TILE_WIDTH);
        const size_t cols = dd_cut(m->N, i + 1, groups, TILE_WIDTH) - j0;
        for (size_t r = 0; r < m->M; r += rows) {
            const stretch s = {.r0 = r,
                               .rows = dd_least(rows, m->M - r),
                               .j0 = j0,
                               .cols = cols,
                               .mid = apart ? w->held : m->c + r * m->c_row + j0,
                               .mid_row = apart ? HELD : m->c_row};
            multiply(m, s, stretches, w);
        }
    }
}

/* ---- Packing of weights ---- */

/* Bytes from which on a matrix is taken for one of a model that outgrows the caches: its panels are
 * written past them, which spares reading every line before it is overwritten. */
#define STREAMED ((size_t)2 << 20)

/* Rows o .. o + 16, columns k .. k + 16 of W, whole panels. */
static void stream_block(size_t N, size_t K, size_t o, size_t k, const float *W, float *forward,
                         float *input)
{
    dd_v16 v[16];
#pragma GCC unroll 16
    for (size_t r = 0; r < 16; r++) {
        v[r] = dd_v16_load(W + (o + r) * K + k, 16);
        dd_v16_stream(input + k * N + 16 * (o + r), v[r]);
    }
    dd_v16_transpose(v);
#pragma GCC unroll 16
    for (size_t c = 0; c < 16; c++)
        dd_v16_stream(forward + o * K + 16 * (k + c), v[c]);
}

/* The same by way of the caches. */
static void copy_block(size_t N, size_t K, size_t o, size_t k, const float *W, float *forward,
                       float *input)
{
    for (size_t r = 0; r < 16; r++)
        dd_v16_store(input + k * N + 16 * (o + r), 16, dd_v16_load(W + (o + r) * K + k, 16));
    dd_turn_16(W + o * K + k, K, forward + o * K + 16 * k);
}

/* Rows o .. o + rows, columns k .. k + cols of W, all within one panel each way. */
static void pack_block(size_t N, size_t K, size_t o, size_t rows, size_t k, size_t cols,
                       const float *W, float *forward, float *input)
{
    dd_v16 v[16];
    float *f = forward + o / 16 * 16 * K + 16 * k + o % 16;
    float *in = input + k / 16 * 16 * N + 16 * o + k % 16;
    for (size_t r = 0; r < 16; r++) {
        v[r] = r < rows ? dd_v16_load(W + (o + r) * K + k, cols) : dd_v16_set(0.0f);
        if (r < rows)
            dd_v16_store(in + 16 * r, cols, v[r]);
    }
    dd_v16_transpose(v);
    for (size_t c = 0; c < cols; c++)
        dd_v16_store(f + 16 * c, rows, v[c]);
}

/* Rows o .. o + rows, all in one panel of outputs, k0 <= k < k1. */
static void pack_rows(size_t N, size_t K, size_t o, size_t rows, size_t k0, size_t k1,
                      const float *W, float *forward, float *input)
{
    for (size_t k = k0, cols; k < k1; k += cols) {
        cols = dd_least(16 - k % 16, k1 - k);
        if (rows < 16 || cols < 16)
            pack_block(N, K, o, rows, k, cols, W, forward, input);
        else if (N * K * sizeof *W >= STREAMED)
            stream_block(N, K, o, k, W, forward, input);
        else
            copy_block(N, K, o, k, W, forward, input);
    }
}

void DD_SET_NAME(pack)(size_t N, size_t K, size_t first, size_t last, const float *W,
                       float *forward, float *input)
{
    assert(first <= last && last <= N * K);
    while (first < last) {
        const size_t o = first / K, k = first % K, left = last - first;
        if (k > 0 || left < K) { /* part of a row */
            const size_t n = dd_least(K - k, left);
            pack_rows(N, K, o, 1, k, k + n, W, forward, input);
            first += n;
            continue;
        }
        const size_t rows = dd_least(16 - o % 16, left / K);
        pack_rows(N, K, o, rows, 0, K, W, forward, input);
        first += rows * K;
    }
    dd_streaming_end();
}
