/* SPDX-License-Identifier: MIT
 * A SIMD set's gradient of a weight matrix over a whole batch: each lane one chain from +0, the
 * lanes' chains folded as their list says. A tile runs its lanes one after the other in registers
 * and keeps the values not yet folded beside it, in the nearest cache; C is written once. Refuses
 * to pack the right operand for a product: pack_rows does that once for all of a matrix's rows. */
#include <assert.h>

#include "blocks.h"
#include "set.h"
#include "tile.h"
#include "vector.h"

enum {
    TILE_WIDTH = DD_TILE_PANELS * DD_TILE_COLS,
    VALUE = DD_TILE_ROWS * TILE_WIDTH,    /* floats of a tile's value */
    MOST_ROWS = 96,                       /* of C in a block: whole lines of A */
    KC = 384,                             /* rows in a part: 24 KiB of a panel, for L1 */
    LEFT = 104 << 10,                     /* floats of A packed at once, for L2 */
    PARTS = LEFT / DD_TILE_ROWS / KC + 1, /* of a stretch at most */
    VALUES = 192 << 10,                   /* floats of values kept between two parts */
    RUN = DD_TILE_ROWS <= 8 ? 8 : 16,     /* floats moved for a tile's rows at one r */
};

typedef struct workspace {
    float left[LEFT];
    float values[VALUES];
    dd_leaving leaving;
} workspace;

_Static_assert((size_t)(MOST_ROWS / DD_TILE_ROWS + 1) * DD_FOLD_VALUES * VALUE <= VALUES,
               "a block's values have room for one panel at least");

size_t DD_SET_NAME(lanes_scratch)(void)
{
    return sizeof(workspace);
}

/* ---- The tile ---- */

/* Between two lanes, or inside of one: `done` rows of *lane lie behind, and their chain is in the
 * stack's place number `height`, above the values that are there. */
typedef struct place {
    const dd_lane_rows *lane;
    size_t done, height;
} place;

/* The next K rows from a place on. `to` NULL: what they end with stays in the stack; else they are
 * the last ones, and the one value left begins to leave for there, after what was leaving before,
 * which has as many panels. Fetches the lines of to, and for each eight rows a line of each panel,
 * of later use, from `ahead` on in steps of ahead_step bytes. */
typedef struct lanes_tile {
    size_t rows, panels, K;
    place begin;
    const float *a; /* runs of `rows` floats */
    const float *b;
    size_t b_pitch;
    float *stack;
    float *to;
    size_t to_row;
    dd_leaving *leaving;
    const char *ahead;
    size_t ahead_step;
} lanes_tile;

/* Rows one by one, and eight of the batch's, as in tile.c. Chains that may not leave their
 * registers: gcc would move them about, and spill some. */
// clang-format off
#if DD_VECTOR_REGISTERS == 1
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

#define FETCH(i)                                                            \
    if (rows > i) {                                                         \
        __builtin_prefetch(t->to + i * t->to_row, 1, 3);                    \
        if (panels > 1)                                                     \
            __builtin_prefetch(t->to + i * t->to_row + 16, 1, 3);           \
    }
#define DECLARE(i) dd_v16 c##i = dd_v16_set(0.0f), d##i = c##i;
#define RESUME(i)                                                           \
    if (rows > i) {                                                         \
        c##i = dd_v16_load(top + i * TILE_WIDTH, 16);                       \
        if (panels > 1)                                                     \
            d##i = dd_v16_load(top + i * TILE_WIDTH + 16, 16);              \
    }
#define STEP(i)                                                             \
    if (rows > i) {                                                         \
        const dd_v16 x = dd_v16_set(a[i]);                                  \
        c##i = dd_v16_fma(x, b0, c##i);                                     \
        if (panels > 1)                                                     \
            d##i = dd_v16_fma(x, b1, d##i);                                 \
    }
#define FOLD(i)                                                             \
    if (rows > i) {                                                         \
        c##i = dd_v16_add(dd_v16_load(top + i * TILE_WIDTH, 16), c##i);     \
        if (panels > 1)                                                     \
            d##i = dd_v16_add(dd_v16_load(top + i * TILE_WIDTH + 16, 16), d##i); \
    }
#define STORE(i)                                                            \
    if (rows > i) {                                                         \
        dd_v16_store(top + i * TILE_WIDTH, 16, c##i);                       \
        if (panels > 1)                                                     \
            dd_v16_store(top + i * TILE_WIDTH + 16, 16, d##i);              \
    }
#if DD_VECTOR_REGISTERS == 2
#define STAY(i)                                                             \
    if (rows > i)                                                           \
        __asm__("" : "+x"(c##i.lo), "+x"(c##i.hi));
#else
#define STAY(i)
#endif
#define ONE_ROW                                                             \
    {                                                                       \
        const dd_v16 b0 = dd_v16_load(b, 16);                               \
        const dd_v16 b1 = panels > 1 ? dd_v16_load(b + b_pitch, 16) : b0;   \
        (void)b1;                                                           \
        EACH_ROW(STEP)                                                      \
        EACH_ROW(STAY)                                                      \
        a += rows;                                                          \
        b += 16;                                                            \
    }
// clang-format on

DD_INLINE_ void tile(const size_t rows, const size_t panels, const lanes_tile *t)
{
    const float *a = t->a, *b = t->b;
    const size_t b_pitch = t->b_pitch, ahead_step = t->ahead_step;
    const char *ahead = t->ahead;
    dd_leaving *l = t->leaving;
    const float *value = l->value + l->row * TILE_WIDTH;
    float *out = l->to;
    const size_t out_row = l->to_row;
    size_t leaves = l->rows - l->row;
    float *top = t->stack + t->begin.height * VALUE;
    size_t K = t->K, done = t->begin.done;
    if (t->to) {
        EACH_ROW(FETCH)
    }
    for (const dd_lane_rows *lane = t->begin.lane; K > 0; lane++) {
        EACH_ROW(DECLARE)
        if (done) {
            EACH_ROW(RESUME)
        }
        const size_t left = lane->n - done;
        size_t k = dd_least(left, K), folds = k == left ? lane->folds : 0;
        K -= k;
        done = 0;
        for (; k >= 8; k -= 8) {
            __builtin_prefetch(ahead, 0, 3);
            if (panels > 1)
                __builtin_prefetch(ahead + b_pitch * sizeof *b, 0, 3);
            ahead += ahead_step;
            if (leaves)
                DD_LEAVE(panels, out, out_row, value, leaves);
            ONE_ROW
            ONE_ROW
            ONE_ROW
            ONE_ROW
            ONE_ROW
            ONE_ROW
            ONE_ROW
            ONE_ROW
        }
        for (; k > 0; k--)
            ONE_ROW
        for (; folds > 0; folds--) {
            top -= VALUE;
            EACH_ROW(FOLD)
        }
        if (K == 0 && t->to) {
            while (leaves)
                DD_LEAVE(panels, out, out_row, value, leaves);
            top = l->value;
        }
        EACH_ROW(STORE)
        top += VALUE;
    }
    if (t->to) {
        l->to = t->to;
        l->to_row = t->to_row;
        l->rows = leaves = rows;
    } else {
        l->to = out;
    }
    l->row = l->rows - leaves;
}

#define TILE_OF(n)                                                                                 \
    static void tile_##n(const lanes_tile *t)                                                      \
    {                                                                                              \
        if (t->panels > 1)                                                                         \
            tile(n, DD_TILE_PANELS, t);                                                            \
        else                                                                                       \
            tile(n, 1, t);                                                                         \
    }
EACH_SIZE(TILE_OF)

/* `cols` of the tile's columns are there. A tile lets whole panels leave, as many as it has. */
static void run_tile(const lanes_tile *t, size_t cols)
{
#define NAME_OF(n) tile_##n,
    static void (*const tile_of[])(const lanes_tile *) = {EACH_SIZE(NAME_OF)};
    dd_leaving *l = t->leaving;
    if (l->cols != cols || cols % DD_TILE_COLS)
        DD_SET_NAME(leave)(l);
    tile_of[t->rows - 1](t);
    l->cols = cols;
}

/* ---- The block ---- */

/* The place K rows on. */
static place place_after(place p, size_t K)
{
    while (K > 0) {
        const size_t left = p.lane->n - p.done;
        if (K < left) {
            p.done += K;
            return p;
        }
        K -= left;
        p.height = p.height + 1 - p.lane->folds;
        p.done = 0;
        p.lane++;
    }
    return p;
}

typedef struct part {
    size_t r, K; /* first row in its stretch, number of rows */
    place begin;
} part;

/* Some rows of C over a stretch of the batch's rows, which is cut into parts. */
typedef struct block {
    const dd_matmul_lanes *m;
    size_t i0; /* first row of C */
    dd_row_tiles tiles;
    size_t depth;       /* values of a tile's stack */
    size_t group;       /* columns taken at once */
    size_t tile_stack;  /* floats from a tile's stack to the next one's; 0: shared */
    size_t panel_stack; /* and from those of one panel to those of the next */
    size_t r0, K;       /* the stretch */
    bool last;          /* it ends in C */
    size_t n_parts;
    part part[PARTS];
    const float *next;            /* of A, the row to fetch next, of next_rows packed after this */
    size_t next_rows, calls, due; /* calls of tiles over which these rows are spread */
} block;

/* A packed tile of A; its last store runs over by less than sixteen floats. */
static size_t tile_pitch(size_t K)
{
    return DD_TILE_ROWS * K + DD_TILE_COLS;
}

/* Fetches the lines of a row of A that the block has, if the row is there. */
static void fetch_row(const block *b, const float *row)
{
    const size_t rows = b->tiles.n * b->tiles.rows + b->tiles.longer;
    for (size_t i = 0; i < rows; i += 16)
        __builtin_prefetch(row + i, 0, 3);
    __builtin_prefetch(row + rows - 1, 0, 3);
}

/* Fetches a tile's share of what is packed next. */
static void fetch_share(block *b)
{
    for (b->due += b->next_rows; b->due >= b->calls; b->due -= b->calls) {
        fetch_row(b, b->next);
        b->next += b->m->a_row;
    }
}

enum { AT_ONCE = 8 }; /* rows packed at once */

/* That many rows of one tile, written out. */
static void pack_run(const float *a, size_t a_row, size_t rows, float *run)
{
#define MOVE(k) dd_v16_store(run + k * rows, RUN, dd_v16_load(a + k * a_row, RUN));
    MOVE(0)
    MOVE(1)
    MOVE(2)
    MOVE(3)
    MOVE(4)
    MOVE(5)
    MOVE(6)
    MOVE(7)
}

/* The block's columns of A from row `a` on to tiles of runs. A load may run over into the columns
 * of other blocks. Some rows at a time, so that a tile's runs are written a few lines at once. */
static void pack_left(const block *b, const float *a, float *out)
{
    const size_t all = b->m->M - b->i0, a_row = b->m->a_row, pitch = tile_pitch(b->K);
    const dd_row_tiles tiles = b->tiles;
    for (size_t k0 = 0; k0 < b->K; k0 += AT_ONCE, a += AT_ONCE * a_row) {
        const size_t n = dd_least(b->K - k0, AT_ONCE);
        for (size_t k = 0; k < n; k++)
            fetch_row(b, a + (AT_ONCE + k) * a_row);
        for (size_t q = 0, i = 0; q < tiles.n; q++) {
            const size_t rows = tiles.rows + (q < tiles.longer);
            float *run = out + q * pitch + k0 * rows;
            if (i + RUN <= all && n == AT_ONCE)
                pack_run(a + i, a_row, rows, run);
            else if (i + RUN <= all)
                for (size_t k = 0; k < n; k++)
                    dd_v16_store(run + k * rows, RUN, dd_v16_load(a + k * a_row + i, RUN));
            else
                for (size_t k = 0; k < n; k++)
                    dd_v16_store(run + k * rows, rows, dd_v16_load(a + k * a_row + i, rows));
            i += rows;
        }
    }
}

/* One part of the rows for the tile's columns from j on. panels: of the stretch's first row. */
static void run_part(block *b, size_t p, size_t j, const float *panels, float *stack, workspace *w)
{
    const dd_matmul_lanes *m = b->m;
    const part *now = &b->part[p];
    const size_t cols = dd_least(m->N - j, TILE_WIDTH), next = (p + 1) % b->n_parts;
    const bool last = b->last && p + 1 == b->n_parts;
    const float *first = panels + j / DD_TILE_COLS * m->panel_pitch;
    lanes_tile t = {.panels = dd_parts_of(cols, DD_TILE_COLS),
                    .K = now->K,
                    .begin = now->begin,
                    .b = first + now->r * DD_TILE_COLS,
                    .b_pitch = m->panel_pitch,
                    .to_row = m->c_row,
                    .leaving = &w->leaving,
                    .ahead_step = 8 * DD_TILE_COLS * sizeof(float) / b->tiles.n + 1};
    const float *ahead = first + b->part[next].r * DD_TILE_COLS;
    if (next == 0 && j + cols < m->N)
        ahead += DD_TILE_PANELS * m->panel_pitch;
    float *to = m->c + b->i0 * m->c_row + j;
    for (size_t q = 0; q < b->tiles.n; q++) {
        t.rows = b->tiles.rows + (q < b->tiles.longer);
        t.a = w->left + q * tile_pitch(b->K) + now->r * t.rows;
        t.stack = stack + q * b->tile_stack;
        t.ahead = (const char *)ahead + q * (now->K / 8) * t.ahead_step;
        if (last) {
            t.to = to;
            to += t.rows * m->c_row;
        }
        fetch_share(b);
        run_tile(&t, cols);
    }
}

/* ---- The product ---- */

/* Cuts stretch s of n into parts, from a place on.  returns  the place behind it */
static place begin_stretch(block *b, size_t R, size_t s, size_t n, place at)
{
    const dd_matmul_lanes *m = b->m;
    b->r0 = dd_cut(R, s, n, 8);
    b->K = dd_cut(R, s + 1, n, 8) - b->r0;
    b->last = s + 1 == n;
    b->n_parts = dd_parts_of(b->K, KC);
    for (size_t p = 0; p < b->n_parts; p++) {
        part *now = &b->part[p];
        now->r = dd_cut(b->K, p, b->n_parts, 8);
        now->K = dd_cut(b->K, p + 1, b->n_parts, 8) - now->r;
        now->begin = at;
        at = place_after(at, now->K);
    }
    const size_t rows = b->tiles.n * b->tiles.rows + b->tiles.longer;
    b->tile_stack = n == 1 && b->n_parts == 1 ? 0 : b->depth * VALUE;
    b->next_rows = dd_cut(R, 1, n, 8); /* as good as all stretches have */
    if (!b->last)
        b->next = m->a + (b->r0 + b->K) * m->a_row + b->i0;
    else /* the next block, in this call or in one that goes on behind it */
        b->next = m->a + b->i0 + rows;
    b->calls = dd_parts_of(b->group, TILE_WIDTH) * b->n_parts * b->tiles.n;
    b->due = 0;
    return at;
}

/* Rows of C from i0 on: as many stretches of the batch's rows as packed tiles need; columns in
 * groups whose values between two stretches have room. */
static void multiply_rows(const dd_matmul_lanes *m, size_t i0, size_t rows, size_t R, size_t depth,
                          workspace *w)
{
    block b = {.m = m, .i0 = i0, .tiles = dd_row_tiles_of(rows), .depth = depth, .group = m->N};
    const size_t most = (LEFT / b.tiles.n - DD_TILE_COLS) / DD_TILE_ROWS / 8 * 8;
    const size_t stretches = dd_parts_of(R, most);
    if (stretches > 1) {
        b.panel_stack = b.tiles.n * depth * VALUE;
        b.group = VALUES / b.panel_stack * TILE_WIDTH;
    }
    for (size_t j0 = 0; j0 < m->N; j0 += b.group) {
        place at = {.lane = m->lane};
        for (size_t s = 0; s < stretches; s++) {
            at = begin_stretch(&b, R, s, stretches, at);
            pack_left(&b, m->a + b.r0 * m->a_row + i0, w->left);
            const float *panels = m->panels + b.r0 * DD_TILE_COLS;
            float *stack = w->values;
            for (size_t j = j0; j < dd_least(j0 + b.group, m->N); j += TILE_WIDTH) {
                for (size_t p = 0; p < b.n_parts; p++)
                    run_part(&b, p, j, panels, stack, w);
                stack += b.panel_stack;
            }
        }
    }
}

void DD_SET_NAME(matmul_lanes)(const dd_matmul_lanes *m, void *scratch)
{
    assert(m->M && m->N && m->n_lanes && m->a_row >= m->M);
    assert(m->panel_pitch % DD_TILE_COLS == 0);
    assert((uintptr_t)scratch % 64 == 0);
    size_t R = 0, height = 0, depth = 0;
    for (size_t l = 0; l < m->n_lanes; l++) {
        assert(m->lane[l].n && m->lane[l].folds <= height);
        depth = depth > height ? depth : height + 1;
        height = height + 1 - m->lane[l].folds;
        R += m->lane[l].n;
    }
    assert(height == 1 && depth <= DD_FOLD_VALUES && m->panel_pitch >= DD_TILE_COLS * R);
    workspace *w = scratch;
    dd_leaving_begin(&w->leaving);
    const size_t blocks = dd_parts_of(m->M, MOST_ROWS);
    for (size_t i = 0; i < blocks; i++) {
        const size_t i0 = dd_cut(m->M, i, blocks, DD_TILE_COLS);
        multiply_rows(m, i0, dd_cut(m->M, i + 1, blocks, DD_TILE_COLS) - i0, R, depth, w);
    }
    DD_SET_NAME(leave)(&w->leaving);
}

/* ---- The right operand ---- */

void DD_SET_NAME(pack_rows)(size_t R, size_t n, const float *b, size_t b_row, float *panels,
                            size_t panel_pitch)
{
    assert(panel_pitch % DD_TILE_COLS == 0 && panel_pitch >= DD_TILE_COLS * R);
    const size_t whole = n - n % DD_TILE_COLS;
    for (size_t r = 0; r < R; r++, b += b_row, panels += DD_TILE_COLS) {
        float *to = panels;
        for (size_t j = 0; j < whole; j += DD_TILE_COLS, to += panel_pitch)
            dd_v16_store(to, 16, dd_v16_load(b + j, 16));
        if (whole < n)
            dd_v16_store(to, 16, dd_v16_load(b + whole, n - whole));
    }
}
