/* SPDX-License-Identifier: MIT
 * The register tile of a SIMD set, and the packing of its right operand. */
#include "tile.h"

#include <assert.h>
#include <string.h>

#include "transpose.h"

const float DD_SET_NAME(zeros)[DD_TILE_PANELS * DD_TILE_COLS];

/* Rows are written out one by one, so that each accumulator is a register under every compiler and
 * optimisation level; `rows` and `panels` are constants at each call and take the absent ones away.
 * Rows share pointers as far as addresses reach, and eight k are written out, too: arithmetic would
 * take FMA's ports. */
// clang-format off
#if DD_VECTOR_REGISTERS == 1
#define EACH_ROW(X) X(0, a) X(1, a + a_row) X(2, a + 2 * a_row) X(3, a3) X(4, a + 4 * a_row)   \
    X(5, a3 + 2 * a_row) X(6, a6) X(7, a3 + 4 * a_row) X(8, a + 8 * a_row) X(9, a9)            \
    X(10, a6 + 4 * a_row) X(11, a3 + 8 * a_row) X(12, a12) X(13, a9 + 4 * a_row)
#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define EACH_ROW(X) X(0, a) X(1, a + a_row) X(2, a + 2 * a_row) X(3, a3) X(4, a + 4 * a_row)   \
    X(5, a3 + 2 * a_row)
#define EACH_SIZE(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

#define FETCH(i, address, to)                                               \
    if (rows > i) {                                                         \
        __builtin_prefetch(to + i * to_row, 1, 3);                          \
        if (panels > 1)                                                     \
            __builtin_prefetch(to + i * to_row + 16, 1, 3);                 \
    }
#define FETCH_OWN(i, address) FETCH(i, address, to)
#define FETCH_NEXT(i, address) FETCH(i, address, to_next)
#define DECLARE(i, address) dd_v16 c##i = dd_v16_set(0.0f), d##i = c##i;
#define START(i, address)                                                   \
    if (rows > i) {                                                         \
        c##i = dd_v16_load(from + i * from_row, 16);                        \
        if (panels > 1)                                                     \
            d##i = dd_v16_load(from + i * from_row + 16, 16);               \
    }
#define STEP(i, address)                                                    \
    if (rows > i) {                                                         \
        const dd_v16 x = dd_v16_set(*(address));                            \
        c##i = dd_v16_fma(x, b0, c##i);                                     \
        if (panels > 1)                                                     \
            d##i = dd_v16_fma(x, b1, d##i);                                 \
    }
#define FOLD(i, address)                                                    \
    if (rows > i) {                                                         \
        c##i = dd_v16_add(dd_v16_load(to + i * to_row, 16), c##i);          \
        if (panels > 1)                                                     \
            d##i = dd_v16_add(dd_v16_load(to + i * to_row + 16, 16), d##i); \
    }
#define STORE(i, address)                                                   \
    if (rows > i) {                                                         \
        dd_v16_store(to + i * to_row, 16, c##i);                            \
        if (panels > 1)                                                     \
            dd_v16_store(to + i * to_row + 16, 16, d##i);                   \
    }
#define ONE_K                                                               \
    {                                                                       \
        const dd_v16 b0 = dd_v16_load(b, 16);                               \
        const dd_v16 b1 = panels > 1 ? dd_v16_load(b + b_pitch, 16) : b0;   \
        (void)b1;                                                           \
        EACH_ROW(STEP)                                                      \
        a += a_col;                                                         \
        a3 += a_col;                                                        \
        a6 += a_col;                                                        \
        a9 += a_col;                                                        \
        a12 += a_col;                                                       \
        b += 16;                                                            \
    }
/* Clang would add from row to row rather than address each by its displacement. */
#ifdef __clang__
#define UNRELATED                                                           \
    if (!__builtin_constant_p(a_row))                                       \
        __asm__("" : "+r"(a), "+r"(a3), "+r"(a6), "+r"(a9), "+r"(a12));
#else
#define UNRELATED
#endif
// clang-format on

DD_INLINE_ void tile(const size_t rows, const size_t panels, const size_t a_row, const size_t a_col,
                     const dd_tile *t)
{
    const size_t from_row = t->from_row, b_pitch = t->b_pitch;
    size_t to_row = t->to_row;
    const float *a = t->a, *b = t->b, *from = t->from;
    const float *a3 = rows > 3 ? a + 3 * a_row : a, *a6 = rows > 6 ? a + 6 * a_row : a;
    const float *a9 = rows > 9 ? a + 9 * a_row : a, *a12 = rows > 12 ? a + 12 * a_row : a;
    const float *to_next = t->to_next ? t->to_next : t->to;
    float *to = t->to;
    const char *ahead = t->ahead ? t->ahead : (const char *)t->b;
    const size_t ahead_step = t->ahead_step;
    dd_leaving *l = t->leaving;
    size_t leaves = l ? l->rows - l->row : 0;
    const float *value = l ? l->value + l->row * DD_TILE_PANELS * DD_TILE_COLS : NULL;
    float *out = l ? l->to : NULL;
    const size_t out_row = l ? l->to_row : 0;
    (void)a6, (void)a9, (void)a12; /* six rows use two */
    EACH_ROW(DECLARE)
    EACH_ROW(FETCH_NEXT)
    EACH_ROW(START)
    size_t k = t->K;
    for (size_t late = !l && k >= DD_TILE_LONG ? DD_TILE_LATE : 0;; late = 0) {
        for (; k >= late + 8; k -= 8) {
            __builtin_prefetch(ahead, 0, 3);
            if (panels > 1)
                __builtin_prefetch(ahead + b_pitch * sizeof *b, 0, 3);
            ahead += ahead_step;
            if (leaves)
                DD_LEAVE(panels, out, out_row, value, leaves);
            UNRELATED
            ONE_K
            ONE_K
            ONE_K
            ONE_K
            ONE_K
            ONE_K
            ONE_K
            ONE_K
        }
        if (!late)
            break;
        EACH_ROW(FETCH_OWN)
    }
    for (; k > 0; k--)
        ONE_K
    if (t->fold) {
        EACH_ROW(FOLD)
    }
    if (t->leaves && !t->fold) {
        while (leaves)
            DD_LEAVE(panels, out, out_row, value, leaves);
        l->to_row = to_row;
        l->rows = leaves = rows;
        out = to;
        to = l->value;
        to_row = DD_TILE_PANELS * DD_TILE_COLS;
    }
    EACH_ROW(STORE)
    if (l) {
        l->to = out;
        l->row = l->rows - leaves;
    }
}

/* Known strides become displacements. */
#define TILE_OF(n)                                                                                 \
    static void tile_##n(const dd_tile *t)                                                         \
    {                                                                                              \
        if (t->cols > DD_TILE_COLS && t->a_col == 1)                                               \
            tile(n, DD_TILE_PANELS, t->a_row, 1, t);                                               \
        else if (t->cols > DD_TILE_COLS)                                                           \
            tile(n, DD_TILE_PANELS, 1, t->a_col, t);                                               \
        else if (t->a_col == 1)                                                                    \
            tile(n, 1, t->a_row, 1, t);                                                            \
        else                                                                                       \
            tile(n, 1, 1, t->a_col, t);                                                            \
    }
EACH_SIZE(TILE_OF)

static void whole_tile(const dd_tile *t)
{
#define NAME_OF(n) tile_##n,
    static void (*const tile_of[])(const dd_tile *) = {EACH_SIZE(NAME_OF)};
    tile_of[t->rows - 1](t);
}

/* Fewer columns than the panels have: by way of a tile that has them. */
static void narrow_tile(const dd_tile *t)
{
    enum { WIDE = DD_TILE_PANELS * DD_TILE_COLS };
    float edge[DD_TILE_ROWS * WIDE];
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j += 16)
            dd_v16_store(edge + i * WIDE + j, 16,
                         dd_v16_load(t->from + i * t->from_row + j, t->cols - j));
    dd_tile whole = *t;
    whole.from = whole.to = edge;
    whole.from_row = whole.to_row = WIDE;
    whole.leaves = whole.fold = false;
    whole_tile(&whole);
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->cols; j += 16) {
            float *to = t->to + i * t->to_row + j;
            dd_v16 chain = dd_v16_load(edge + i * WIDE + j, 16);
            if (t->fold)
                chain = dd_v16_add(dd_v16_load(to, t->cols - j), chain);
            dd_v16_store(to, t->cols - j, chain);
        }
}

void DD_SET_NAME(tile)(const dd_tile *t)
{
    assert(t->rows >= 1 && t->rows <= DD_TILE_ROWS);
    assert(t->cols >= 1 && t->cols <= DD_TILE_PANELS * DD_TILE_COLS);
    assert(t->a_row == 1 || t->a_col == 1);
    dd_leaving *l = t->leaving;
    if (l && l->cols != t->cols) {
        DD_SET_NAME(leave)(l); /* tiles let as many panels leave as they have */
        l->cols = t->cols;
    }
    if (t->cols % DD_TILE_COLS == 0)
        whole_tile(t);
    else
        narrow_tile(t);
}

void DD_SET_NAME(leave)(dd_leaving *l)
{
    for (; l->row < l->rows; l->row++, l->to += l->to_row)
        for (size_t j = 0; j < l->cols; j += 16)
            dd_v16_store(l->to + j, l->cols - j,
                         dd_v16_load(l->value + l->row * DD_TILE_PANELS * DD_TILE_COLS + j, 16));
}

/* k outermost: the source is read as it lies. */
static void copy_panels(size_t K, size_t n, const float *b, size_t b_row, float *panels)
{
    const size_t whole = n - n % DD_TILE_COLS, panel = K + 1;
    for (size_t k = 0; k < K; k++, b += b_row, panels += DD_TILE_COLS) {
        for (size_t j = 0; j < whole; j += DD_TILE_COLS)
            dd_v16_store(panels + j * panel, 16, dd_v16_load(b + j, 16));
        if (whole < n)
            dd_v16_store(panels + whole * panel, 16, dd_v16_load(b + whole, n - whole));
    }
}

/* Rows of b to columns of one panel. */
static void turn_panel(size_t K, size_t cols, const float *b, size_t b_col, float *panel)
{
    size_t k = 0;
    for (; cols == DD_TILE_COLS && k + 16 <= K; k += 16)
        dd_turn_16(b + k, b_col, panel + k * DD_TILE_COLS);
    for (; k < K; k += 16) {
        dd_v16 block[16];
        for (size_t j = 0; j < 16; j++)
            block[j] = j < cols ? dd_v16_load(b + j * b_col + k, K - k) : dd_v16_set(0.0f);
        dd_v16_transpose(block);
        for (size_t i = 0; i < 16 && k + i < K; i++)
            dd_v16_store(panel + (k + i) * DD_TILE_COLS, 16, block[i]);
    }
}

void DD_SET_NAME(pack_panels)(size_t K, size_t n, const float *b, size_t b_row, size_t b_col,
                              float *panels)
{
    assert(b_row == 1 || b_col == 1);
    if (b_col == 1) {
        copy_panels(K, n, b, b_row, panels);
        return;
    }
    for (size_t j = 0; j < n; j += DD_TILE_COLS, panels += dd_panel_pitch(K))
        turn_panel(K, n - j < DD_TILE_COLS ? n - j : DD_TILE_COLS, b + j * b_col, b_col, panels);
}
