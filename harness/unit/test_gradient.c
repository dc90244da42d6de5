/* SPDX-License-Identifier: MIT
 * Gradients by slices: folding, completing and measuring any slice of the parameter vector gives
 * the bits that whole segments give, touches nothing outside the slice, and reads no lookup row
 * that is absent. Lists of folds are random trees, depth first as the plan makes them. */
#include "gradient_slice.h"
#include "kernels.h"
#include "platform.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_SEGMENTS = 40 };

/* Reproducible choices. */
static uint64_t next_index;

static uint32_t pick(uint32_t n)
{
    uint32_t f[4];
    dd_philox(5, next_index++, 100, f);
    return f[0] % n;
}

static float some_float(void)
{
    return ((float)pick(1 << 20) - (1 << 19)) * 0x1p-12f;
}

/* ---- Lists ---- */

typedef struct list_maker {
    dd_fold_pair pair[MAX_SEGMENTS];
    uint32_t n, n_segments;
} list_maker;

/* A random subtree over `leaves` segments, children first; returns the segment that holds it. */
static uint32_t make_tree(list_maker *m, uint32_t leaves)
{
    if (leaves == 1)
        return m->n_segments++;
    uint32_t left = 1 + pick(leaves - 1);
    uint32_t into = make_tree(m, left), from = make_tree(m, leaves - left);
    m->pair[m->n++] = (dd_fold_pair){into, from};
    return into;
}

/* Most values at hand at once while the list is evaluated. */
static uint32_t values_needed(const list_maker *m)
{
    uint32_t stack[MAX_SEGMENTS], depth = 0, most = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        if (depth && stack[depth - 1] == m->pair[i].from)
            depth--;
        if (!depth || stack[depth - 1] != m->pair[i].into)
            stack[depth++] = m->pair[i].into;
        most = depth > most ? depth : most;
    }
    return most;
}

/* ---- Segments ---- */

static void fill(const dd_layout *layout, dd_segment *s)
{
    for (uint64_t e = 0; e < dd_layout_size(layout); e++)
        s->dense[e] = some_float();
    dd_rows_clear(&s->lookup);
    for (uint32_t v = 0; v < layout->shape.V; v++) {
        bool fresh;
        if (pick(3))
            continue;
        float *row = dd_rows_at(&s->lookup, v, &fresh);
        for (uint32_t c = 0; c < layout->shape.C; c++)
            row[c] = some_float();
    }
    s->loss = (double)some_float() / 3;
}

static void copy(const dd_layout *layout, dd_segment *to, const dd_segment *from)
{
    memcpy(to->dense, from->dense, dd_layout_size(layout) * sizeof *to->dense);
    dd_rows_clear(&to->lookup);
    for (uint32_t i = 0; i < from->lookup.n; i++) {
        bool fresh;
        float *row = dd_rows_at(&to->lookup, from->lookup.token[i], &fresh);
        memcpy(row, from->lookup.row + (size_t)i * from->lookup.width,
               from->lookup.width * sizeof *row);
    }
    to->loss = from->loss;
}

static void open_segments(const dd_layout *layout, uint32_t n, dd_segments *out)
{
    const dd_shape *s = &layout->shape;
    assert_int_equal(dd_segments_open(out, NULL, n, dd_layout_size(layout), s->V, s->C, s->V),
                     DD_OK);
}

/* ---- Tests ---- */

/* Without layers: where wte lies, and how long its rows are, is all that matters here. */
static const dd_shape shapes[] = {
    {.NH = 1, .C = 1, .V = 3, .T_max = 1},     /* a block for all */
    {.NH = 1, .C = 7, .V = 613, .T_max = 700}, /* rows across edges of blocks */
    {.NH = 1, .C = 24, .V = 180, .T_max = 90}, /* wte ends inside a block */
    {.NH = 1, .C = 64, .V = 64, .T_max = 65},  /* wte is exactly a block */
    {.NH = 1, .C = 5000, .V = 5, .T_max = 1},  /* rows longer than a block */
};

static void check_slices(const dd_shape *shape, uint32_t leaves, dd_simd simd)
{
    const char *why;
    const dd_kernels *kernels = dd_kernels_select(simd, &why);
    dd_layout layout;
    dd_layout_make(shape, &layout);
    const uint64_t P = dd_layout_size(&layout), n_blocks = dd_norm_n_blocks(&layout);
    list_maker m = {.n = 0};
    const uint32_t root = make_tree(&m, leaves);
    dd_segments by_slice, whole, before;
    open_segments(&layout, leaves, &by_slice);
    open_segments(&layout, leaves, &whole);
    open_segments(&layout, 1, &before);
    for (uint32_t s = 0; s < leaves; s++) {
        fill(&layout, &by_slice.at[s]);
        copy(&layout, &whole.at[s], &by_slice.at[s]);
    }
    copy(&layout, &before.at[0], &by_slice.at[root]);

    double *want = calloc(n_blocks, sizeof *want), *got = calloc(n_blocks, sizeof *got);
    for (uint32_t i = 0; i < m.n; i++)
        dd_segment_fold(kernels, &layout, &whole.at[m.pair[i].into], &whole.at[m.pair[i].from]);
    dd_segment_root(kernels, &layout, &whole.at[root]);
    dd_norm_blocks(kernels, &layout, whole.at[root].dense, want);

    dd_slice_scratch *scratch;
    const uint32_t values = values_needed(&m);
    assert_int_equal(dd_slice_scratch_open(values ? values : 1, &scratch), DD_OK);
    const dd_fold_list list = {by_slice.at, m.pair, m.n, root};
    double loss = dd_gradient_loss(&list, scratch);
    assert_memory_equal(&loss, &whole.at[root].loss, sizeof loss);

    /* the slices in any order; after each, what lies beyond is as it was */
    uint64_t cut = n_blocks > 1 ? 1 + pick((uint32_t)n_blocks - 1) : n_blocks;
    const uint64_t slice[3][2] = {{cut, n_blocks}, {cut / 2, cut}, {0, cut / 2}};
    const float *dense = by_slice.at[root].dense;
    uint64_t begun = P; /* elements from here on are done */
    for (int i = 0; i < 3; i++) {
        dd_gradient_slice(kernels, &layout, &list, slice[i][0], slice[i][1], scratch, got);
        uint64_t first = slice[i][0] * DD_NORM_BLOCK;
        begun = first < begun ? first : begun;
        assert_memory_equal(dense, before.at[0].dense, begun * sizeof *dense);
        assert_memory_equal(dense + begun, whole.at[root].dense + begun,
                            (P - begun) * sizeof *dense);
    }
    assert_int_equal(begun, 0);
    assert_memory_equal(got, want, n_blocks * sizeof *got);

    dd_slice_scratch_close(scratch);
    free(got);
    free(want);
    dd_segments_close(&before);
    dd_segments_close(&whole);
    dd_segments_close(&by_slice);
}

static void slices_give_the_bits_of_whole_segments(void **state)
{
    (void)state;
    static const dd_simd sets[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const char *why;
        if (!dd_kernels_select(sets[i], &why)) {
            print_message("SKIP (optional): %s\n", why);
            continue;
        }
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (uint32_t leaves = 1; leaves <= MAX_SEGMENTS; leaves += leaves < 8 ? 1 : 11)
                for (int repeat = 0; repeat < 3; repeat++)
                    check_slices(&shapes[s], leaves, sets[i]);
    }
}

/* Other segments stay as they are: only the root's slice is written. */
static void other_segments_are_only_read(void **state)
{
    (void)state;
    const char *why;
    const dd_kernels *kernels = dd_kernels_select(DD_SIMD_OFF, &why);
    dd_layout layout;
    dd_layout_make(&shapes[1], &layout);
    dd_segments segments, before;
    open_segments(&layout, 4, &segments);
    open_segments(&layout, 4, &before);
    for (uint32_t s = 0; s < 4; s++) {
        fill(&layout, &segments.at[s]);
        copy(&layout, &before.at[s], &segments.at[s]);
    }
    const dd_fold_pair pair[] = {{0, 1}, {2, 3}, {0, 2}};
    const dd_fold_list list = {segments.at, pair, 3, 0};
    dd_slice_scratch *scratch;
    assert_int_equal(dd_slice_scratch_open(DD_PLAN_SEGMENTS(1), &scratch), DD_OK);
    double sums[8];
    assert_true(dd_norm_n_blocks(&layout) <= 8);
    dd_gradient_slice(kernels, &layout, &list, 0, dd_norm_n_blocks(&layout), scratch, sums);
    assert_true(memcmp(segments.at[0].dense, before.at[0].dense,
                       dd_layout_size(&layout) * sizeof(float)) != 0);
    for (uint32_t s = 0; s < 4; s++) {
        const dd_rows *now = &segments.at[s].lookup, *then = &before.at[s].lookup;
        if (s)
            assert_memory_equal(segments.at[s].dense, before.at[s].dense,
                                dd_layout_size(&layout) * sizeof(float));
        assert_int_equal(now->n, then->n);
        assert_memory_equal(now->token, then->token, now->n * sizeof *now->token);
        assert_memory_equal(now->row, then->row, (size_t)now->n * now->width * sizeof *now->row);
        assert_true(segments.at[s].loss == before.at[s].loss);
    }
    dd_slice_scratch_close(scratch);
    dd_segments_close(&before);
    dd_segments_close(&segments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_the_bits_of_whole_segments),
        cmocka_unit_test(other_segments_are_only_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
