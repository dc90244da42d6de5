/* SPDX-License-Identifier: MIT
 * AVX2: the 6 x 16 register tile, and the packing of its operands. Twelve accumulators keep two
 * FMA units of latency 4 or 5 busy and leave registers for two vectors of b and one broadcast. */
#include <assert.h>
#include <string.h>

#include "avx2_tile.h"
#include "avx2_vector.h"

const float dd_avx2_zeros_[DD_TILE_COLS];

/* Rows are written out one by one, so that each accumulator is a register under every compiler and
 * optimisation level; `rows` is a constant at each call and takes the absent ones away. */
// clang-format off
#define EACH_ROW(X) X(0, a) X(1, a + a_row) X(2, a + 2 * a_row) X(3, a3) X(4, a3 + a_row) X(5, a3 + 2 * a_row)

#define START(i, address)                                             \
    if (rows > i) {                                                   \
        _mm_prefetch((const char *)(to + i * to_row), _MM_HINT_T0);   \
        c##i = dd_v16_load(from + i * from_row, 16);                  \
    }
#define STEP(i, address)                                              \
    if (rows > i) {                                                   \
        const __m256 x = _mm256_broadcast_ss(address);                \
        c##i.lo = _mm256_fmadd_ps(x, b_lo, c##i.lo);                  \
        c##i.hi = _mm256_fmadd_ps(x, b_hi, c##i.hi);                  \
    }
#define FINISH(i, address)                                            \
    if (rows > i) {                                                   \
        if (t->fold)                                                  \
            c##i = dd_v16_add(dd_v16_load(to + i * to_row, 16), c##i); \
        dd_v16_store(to + i * to_row, 16, c##i);                      \
    }
#define ONE_K                                                         \
    {                                                                 \
        const __m256 b_lo = _mm256_load_ps(b);                        \
        const __m256 b_hi = _mm256_load_ps(b + 8);                    \
        EACH_ROW(STEP)                                                \
        a += a_col;                                                   \
        a3 += a_col;                                                  \
        b += 16;                                                      \
    }
// clang-format on

DD_INLINE_ void tile(const size_t rows, const size_t a_row, const size_t a_col, const dd_tile *t)
{
    const size_t from_row = t->from_row, to_row = t->to_row;
    const float *a = t->a, *b = t->b, *from = t->from;
    const float *a3 = rows > 3 ? a + 3 * a_row : a;
    float *to = t->to;
    dd_v16 c0 = dd_v16_set(0.0f), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0;
    EACH_ROW(START)
    size_t k = t->K;
    for (; k >= 2; k -= 2) { /* four at a time make gcc spill accumulators */
        ONE_K
        ONE_K
    }
    if (k > 0)
        ONE_K
    EACH_ROW(FINISH)
}

/* Known strides become displacements: pointer arithmetic would take FMA's ports. */
#define TILE_OF(n)                                                                                 \
    static void tile_##n(const dd_tile *t)                                                         \
    {                                                                                              \
        if (t->a_col == 1)                                                                         \
            tile(n, t->a_row, 1, t);                                                               \
        else if (t->a_row == 1 && t->a_col == n)                                                   \
            tile(n, 1, n, t);                                                                      \
        else                                                                                       \
            tile(n, t->a_row, t->a_col, t);                                                        \
    }
TILE_OF(1)
TILE_OF(2)
TILE_OF(3)
TILE_OF(4)
TILE_OF(5)
TILE_OF(6)

static void whole_tile(const dd_tile *t)
{
    static void (*const tile_of[])(const dd_tile *) = {tile_1, tile_2, tile_3,
                                                       tile_4, tile_5, tile_6};
    tile_of[t->rows - 1](t);
}

/* Fewer than sixteen columns: by way of a tile that has them. */
static void narrow_tile(const dd_tile *t)
{
    float edge[DD_TILE_ROWS * DD_TILE_COLS];
    for (size_t i = 0; i < t->rows; i++)
        dd_v16_store(edge + i * 16, 16, dd_v16_load(t->from + i * t->from_row, t->cols));
    dd_tile whole = *t;
    whole.from = whole.to = edge;
    whole.from_row = whole.to_row = 16;
    whole.fold = false;
    whole_tile(&whole);
    for (size_t i = 0; i < t->rows; i++) {
        float *to = t->to + i * t->to_row;
        const dd_v16 chain = dd_v16_load(edge + i * 16, 16);
        dd_v16_store(to, t->cols, t->fold ? dd_v16_add(dd_v16_load(to, t->cols), chain) : chain);
    }
}

void dd_avx2_tile_(const dd_tile *t)
{
    assert(t->rows >= 1 && t->rows <= DD_TILE_ROWS);
    assert(t->cols >= 1 && t->cols <= DD_TILE_COLS);
    if (t->cols == DD_TILE_COLS)
        whole_tile(t);
    else
        narrow_tile(t);
}

/* Rows 4h to 4h+3 of a 4 x 8 block to columns, within each half: out[i] = {column i, column i + 4}.
 */
DD_INLINE_ void transpose4(__m256 v0, __m256 v1, __m256 v2, __m256 v3, __m256 out[4])
{
    const __m256 lo01 = _mm256_unpacklo_ps(v0, v1), hi01 = _mm256_unpackhi_ps(v0, v1);
    const __m256 lo23 = _mm256_unpacklo_ps(v2, v3), hi23 = _mm256_unpackhi_ps(v2, v3);
    out[0] = _mm256_shuffle_ps(lo01, lo23, _MM_SHUFFLE(1, 0, 1, 0));
    out[1] = _mm256_shuffle_ps(lo01, lo23, _MM_SHUFFLE(3, 2, 3, 2));
    out[2] = _mm256_shuffle_ps(hi01, hi23, _MM_SHUFFLE(1, 0, 1, 0));
    out[3] = _mm256_shuffle_ps(hi01, hi23, _MM_SHUFFLE(3, 2, 3, 2));
}

/* Row r of a block; nothing where there is none. */
DD_INLINE_ __m256 block_row(size_t rows, size_t cols, const float *src, size_t src_row, size_t r)
{
    return r < rows ? dd_v8_load(src + r * src_row, cols) : _mm256_setzero_ps();
}

/* Column c of a block to its place. */
DD_INLINE_ void block_column(size_t rows, size_t cols, float *dst, size_t dst_row, bool fold,
                             size_t c, __m256 v)
{
    if (c >= cols)
        return;
    float *out = dst + c * dst_row;
    dd_v8_store(out, rows, fold ? _mm256_add_ps(dd_v8_load(out, rows), v) : v);
}

/* One block of at most 8 x 8. */
DD_INLINE_ void transpose_block(size_t rows, size_t cols, const float *src, size_t src_row,
                                float *dst, size_t dst_row, bool fold)
{
    __m256 upper[4], lower[4];
    transpose4(block_row(rows, cols, src, src_row, 0), block_row(rows, cols, src, src_row, 1),
               block_row(rows, cols, src, src_row, 2), block_row(rows, cols, src, src_row, 3),
               upper);
    transpose4(block_row(rows, cols, src, src_row, 4), block_row(rows, cols, src, src_row, 5),
               block_row(rows, cols, src, src_row, 6), block_row(rows, cols, src, src_row, 7),
               lower);
#define COLUMN(c, half)                                                                            \
    block_column(rows, cols, dst, dst_row, fold, c,                                                \
                 _mm256_permute2f128_ps(upper[(c) % 4], lower[(c) % 4], half))
    COLUMN(0, 0x20);
    COLUMN(1, 0x20);
    COLUMN(2, 0x20);
    COLUMN(3, 0x20);
    COLUMN(4, 0x31);
    COLUMN(5, 0x31);
    COLUMN(6, 0x31);
    COLUMN(7, 0x31);
#undef COLUMN
}

void dd_avx2_transpose_(size_t rows, size_t cols, const float *src, size_t src_row, float *dst,
                        size_t dst_row, bool fold)
{
    /* sixteen rows at a time: whole cache lines of dst */
    for (size_t r0 = 0; r0 < rows; r0 += 16)
        for (size_t c = 0; c < cols; c += 8)
            for (size_t r = r0; r < rows && r < r0 + 16; r += 8) {
                const float *in = src + r * src_row + c;
                float *out = dst + c * dst_row + r;
                if (rows - r >= 8 && cols - c >= 8)
                    transpose_block(8, 8, in, src_row, out, dst_row, fold);
                else
                    transpose_block(rows - r, cols - c, in, src_row, out, dst_row, fold);
            }
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

void dd_avx2_pack_panels_(size_t K, size_t n, const float *b, size_t b_row, size_t b_col,
                          float *panels)
{
    assert(b_row == 1 || b_col == 1);
    if (b_col == 1) {
        copy_panels(K, n, b, b_row, panels);
        return;
    }
    for (size_t j = 0; j < n; j += DD_TILE_COLS, panels += dd_panel_pitch(K)) {
        const size_t cols = n - j < DD_TILE_COLS ? n - j : DD_TILE_COLS;
        if (cols < DD_TILE_COLS)
            memset(panels, 0, K * DD_TILE_COLS * sizeof *panels);
        dd_avx2_transpose_(cols, K, b + j * b_col, b_col, panels, DD_TILE_COLS, false);
    }
}
