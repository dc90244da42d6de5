/* SPDX-License-Identifier: MIT
 * Matrix products, gradients over all lanes and the packing of operands, of every set that runs
 * here, bit for bit against the plain loops of NUMERICS.md: seeded shapes, strides, alignments,
 * values, sinks and lists of lanes, the right operand as a matrix and in panels. Buffers lie
 * against inaccessible pages. DD_TEST_SEED repeats a run. Refuses tolerances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guarded.h"
#include "kernel_cases.h"
#include "kernels_plain.h"

/* n floats in whole cache lines that end where an inaccessible page begins. */
static float *lines(size_t n, float fill)
{
    return guarded_take_at_end((n + 15) / 16 * 16, fill);
}

/* ---- Products ---- */

typedef enum right { ROWS, COLUMNS, PANELS, RIGHTS } right;

/* b(k, j) in panels, zeros in absent columns, `between` floats of NaN from one to the next. */
static const float *panels_of(const dd_matmul *m, size_t *pitch, size_t between)
{
    const size_t n = (m->N + 15) / 16;
    *pitch = 16 * m->K + between;
    float *panels = lines(n * *pitch - between, 0.0f);
    for (size_t p = 1; p < n; p++)
        for (size_t i = 0; i < between; i++)
            panels[p * *pitch - between + i] = __builtin_nanf("");
    for (size_t k = 0; k < m->K; k++)
        for (size_t j = 0; j < m->N; j++)
            panels[j / 16 * *pitch + 16 * k + j % 16] = m->b[k * m->b_row + j * m->b_col];
    return panels;
}

/* Floats between two rows or columns of K; often they begin a multiple of 4 KiB apart, which a set
 * may treat apart. */
static size_t any_padding(size_t K)
{
    return random_below(2) ? random_below(3) * 5 : (1024 - K % 1024) % 1024;
}

static void product_case(const dd_kernels *set, size_t M, size_t N, size_t K, bool a_across,
                         right side, dd_sink sink)
{
    const values kind = any_values();
    dd_matmul m = {.M = M, .N = N, .K = K, .sink = sink};
    const size_t pad_a = any_padding(a_across ? M : K), pad_b = random_below(3) * 3;
    m.a_row = a_across ? 1 : K + pad_a;
    m.a_col = a_across ? M + pad_a : 1;
    m.b_row = side == COLUMNS ? 1 : N + pad_b;
    m.b_col = side == COLUMNS ? K + pad_b : 1;
    m.c_row = N + random_below(3) * 7;
    m.a = guarded_values((M - 1) * m.a_row + (K - 1) * m.a_col + 1, kind);
    m.b = guarded_values((K - 1) * m.b_row + (N - 1) * m.b_col + 1, kind);
    m.bias = sink != DD_RESUME && random_below(2) ? guarded_values(N, kind) : NULL;
    const size_t n_c = (M - 1) * m.c_row + N;
    float *got = guarded_values(n_c, kind), *want = guarded_copy(got, n_c);
    m.c = want;
    plain_matmul(&m);
    m.c = got;
    if (side == PANELS) {
        m.panels = panels_of(&m, &m.panel_pitch, random_below(2) * 48);
        m.b = NULL;
    }
    set->matmul(&m, lines(set->scratch_bytes(N, K, 1, 1) / sizeof(float), __builtin_nanf("")));
    char what[160];
    snprintf(what, sizeof what, "%zux%zux%zu, a by %s, b by %s, row of c %zu, bias %d, sink %d", M,
             N, K, a_across ? "columns" : "rows",
             side == PANELS    ? "panels"
             : side == COLUMNS ? "columns"
                               : "rows",
             m.c_row, m.bias != NULL, (int)sink);
    expect_bits(set, what, n_c, got, want);
    guarded_release();
}

static void products_are_chains(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++)
        for (int i = 0; i < 600; i++)
            product_case(sets[s], any_size(70), any_size(70), any_size(90), random_below(2),
                         (right)random_below(RIGHTS), any_sink());
}

/* Past every block size of every set, each way. */
static void large_products_are_chains(void **state)
{
    (void)state;
    static const size_t large[][3] = {{259, 33, 67},     {35, 530, 19},  {17, 40, 521},
                                      {128, 96, 256},    {270, 262, 37}, {16, 301, 300},
                                      {64, 64, 513},     {253, 18, 257}, {1, 17, 1100},
                                      {64, 48, 2 * 384}, {300, 20, 1000}};
    for (size_t s = 0; s < n_sets; s++)
        for (size_t i = 0; i < sizeof large / sizeof *large; i++)
            for (unsigned layout = 0; layout < 2 * RIGHTS; layout++)
                for (dd_sink sink = DD_STORE; sink <= DD_RESUME; sink++)
                    product_case(sets[s], large[i][0], large[i][1], large[i][2], layout % 2,
                                 (right)(layout / 2), sink);
}

/* More than is packed at once, of either operand; longer chains than a block's. */
static void blocks_join(void **state)
{
    (void)state;
    static const size_t large[][3] = {{600, 520, 200}, {20, 300, 900}, {10, 700, 400}};
    for (size_t s = 0; s < n_sets; s++)
        for (size_t i = 0; i < sizeof large / sizeof *large; i++)
            for (unsigned layout = 0; layout < 2 * RIGHTS; layout++)
                product_case(sets[s], large[i][0], large[i][1], large[i][2], layout % 2,
                             (right)(layout / 2), i ? DD_FOLD : any_sink());
}

/* ---- Gradients of all lanes ---- */

enum { MOST_LANES = 1728 };

typedef struct lanes {
    dd_lane_rows at[MOST_LANES];
    size_t n, rows;
} lanes;

static void add_lane(lanes *list, size_t rows)
{
    list->at[list->n++] = (dd_lane_rows){.n = (uint32_t)rows};
    list->rows += rows;
}

/* The next 12^depth lanes of *rows, empty ones among them, as a fold tree: each fold stands after
 * the lane that ends its right operand.  returns  false: all are empty */
static bool add_tree(lanes *list, unsigned depth, const size_t **rows)
{
    if (depth == 0) {
        const size_t n = *(*rows)++;
        if (n)
            add_lane(list, n);
        return n > 0;
    }
    bool some[4] = {false};
    for (int t = 0; t < 4; t++) {
        for (int p = 0; p < 3; p++) {
            const bool next = add_tree(list, depth - 1, rows);
            if (some[t] && next)
                list->at[list->n - 1].folds++;
            some[t] = some[t] || next;
        }
        if (t % 2 && some[t - 1] && some[t])
            list->at[list->n - 1].folds++;
    }
    const bool low = some[0] || some[1], high = some[2] || some[3];
    if (low && high)
        list->at[list->n - 1].folds++;
    return low || high;
}

/* A fold tree of 12^depth lanes of which some, at random, are not empty. */
static lanes any_tree(unsigned depth, size_t some, size_t most_rows)
{
    size_t all = 1, rows[MOST_LANES] = {0};
    for (unsigned d = 0; d < depth; d++)
        all *= 12;
    for (size_t l = 0; l < all; l++)
        if (random_below(all - l) < some) {
            rows[l] = any_size(most_rows);
            some--;
        }
    const size_t *next = rows;
    lanes list = {.n = 0};
    (void)add_tree(&list, depth, &next);
    return list;
}

/* Folds at random, the stack now high, now low. */
static lanes any_lanes(size_t n, size_t most_rows)
{
    lanes list = {.n = 0};
    uint32_t height = 0;
    while (list.n < n) {
        add_lane(&list, any_size(most_rows));
        const uint32_t least = ++height == DD_FOLD_VALUES; /* room for the next one */
        const uint32_t most = random_below(4) ? least : height - 1;
        const uint32_t folds = least + (uint32_t)random_below(most + 1 - least);
        list.at[list.n - 1].folds = list.n == n ? height - 1 : folds;
        height -= list.at[list.n - 1].folds;
    }
    return list;
}

static void lanes_case(const dd_kernels *set, size_t M, size_t N, const lanes *list)
{
    const values kind = any_values();
    const size_t R = list->rows, n_panels = (N + 15) / 16, between = random_below(3) * 16;
    dd_matmul_lanes m = {.M = M, .N = N, .n_lanes = list->n};
    m.a_row = M + random_below(3) * 5;
    m.c_row = N + random_below(3) * 7;
    m.panel_pitch = 16 * R + between;
    dd_lane_rows *lane = (dd_lane_rows *)(void *)guarded_words(2 * list->n);
    memcpy(lane, list->at, list->n * sizeof *lane);
    m.lane = lane;
    m.a = guarded_values((R - 1) * m.a_row + M, kind);
    const size_t b_row = N + random_below(3) * 3;
    const float *b = guarded_values((R - 1) * b_row + N, kind);
    float *panels = lines(n_panels * m.panel_pitch - between, CANARY);
    const size_t n_c = (M - 1) * m.c_row + N;
    float *got = guarded_values(n_c, kind), *want = guarded_copy(got, n_c);
    m.panels = panels;
    m.c = want;
    plain_matmul_lanes(&m, b, b_row);
    m.c = got;
    set->pack_rows(R, N, b, b_row, panels, m.panel_pitch);
    for (size_t p = 0; p < n_panels; p++)
        for (size_t i = 0; i < (p + 1 < n_panels ? m.panel_pitch : 16 * R); i++) {
            const size_t r = i / 16, j = 16 * p + i % 16;
            const float element = i >= 16 * R ? CANARY : j < N ? b[r * b_row + j] : 0.0f;
            if (!same_bits(panels[p * m.panel_pitch + i], element))
                fail_msg("%s: pack_rows %zux%zu: float %zu of panel %zu (DD_TEST_SEED=%llu)",
                         set->name, R, N, i, p, test_seed);
        }
    set->matmul_lanes(&m,
                      lines(set->scratch_bytes(N, R, 1, 1) / sizeof(float), __builtin_nanf("")));
    char what[120];
    snprintf(what, sizeof what, "%zux%zu of %zu lanes, %zu rows, row of c %zu", M, N, m.n_lanes, R,
             m.c_row);
    expect_bits(set, what, n_c, got, want);
    guarded_release();
}

static void lanes_are_chains_folded(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++)
        for (int i = 0; i < 150; i++) {
            const lanes list = any_lanes(i % 3 ? any_size(12) : any_size(150), any_size(70));
            lanes_case(sets[s], any_size(50), any_size(70), &list);
        }
}

/* Fold trees as the trainer has them, whole and pruned. */
static void trees_of_lanes_are_folded(void **state)
{
    (void)state;
    static const struct {
        unsigned depth;
        size_t some;
    } trees[] = {{1, 1},  {1, 2},  {1, 3},   {1, 4},   {1, 8},   {1, 11},
                 {1, 12}, {2, 10}, {2, 100}, {2, 144}, {3, 200}, {3, 1728}};
    for (size_t s = 0; s < n_sets; s++)
        for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
            const lanes list =
                any_tree(trees[i].depth, trees[i].some, trees[i].some > 144 ? 3 : 70);
            lanes_case(sets[s], any_size(43), any_size(70), &list);
        }
}

/* More rows and columns than a block of any set has, in lanes that a block cuts and in lanes that
 * it does not, the stack low and high. */
static void blocks_of_lanes_join(void **state)
{
    (void)state;
    static const struct {
        size_t M, N, n_lanes, rows;
    } large[] = {{101, 70, 4, 256},  {96, 40, 1, 1500}, {98, 600, 3, 400}, {205, 33, 2, 700},
                 {97, 530, 150, 16}, {3, 17, 5, 4000},  {84, 31, 40, 60},  {90, 600, 40, 60},
                 {1, 1, 1, 1},       {1, 200, 1728, 2}};
    for (size_t s = 0; s < n_sets; s++)
        for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
            lanes list = any_lanes(large[i].n_lanes, 1);
            list.rows = 0;
            for (size_t l = 0; l < list.n; l++) {
                list.at[l].n = (uint32_t)(large[i].rows + random_below(2) * (large[i].rows / 8));
                list.rows += list.at[l].n;
            }
            lanes_case(sets[s], large[i].M, large[i].N, &list);
        }
}

/* ---- Packing ---- */

/* A range of W to its panels: its elements in both places, every other float as it was. */
static void pack_case(const dd_kernels *set, size_t N, size_t K, size_t first, size_t last)
{
    const size_t n_forward = (N + 15) / 16 * 16 * K, n_input = (K + 15) / 16 * 16 * N;
    const float *W = guarded_values(N * K, WIDE);
    float *forward = lines(n_forward, CANARY), *input = lines(n_input, CANARY);
    float *want_forward = lines(n_forward, CANARY), *want_input = lines(n_input, CANARY);
    for (size_t e = first; e < last; e++) {
        const size_t o = e / K, k = e % K;
        want_forward[o / 16 * 16 * K + 16 * k + o % 16] = W[e];
        want_input[k / 16 * 16 * N + 16 * o + k % 16] = W[e];
    }
    set->pack(N, K, first, last, W, forward, input);
    char what[100];
    snprintf(what, sizeof what, "pack %zux%zu from %zu to %zu: forward", N, K, first, last);
    expect_bits(set, what, n_forward, forward, want_forward);
    snprintf(what, sizeof what, "pack %zux%zu from %zu to %zu: input", N, K, first, last);
    expect_bits(set, what, n_input, input, want_input);
    guarded_release();
}

static void ranges_are_packed_exactly(void **state)
{
    (void)state;
    for (size_t s = 0; s < n_sets; s++) {
        for (int i = 0; i < 400; i++) {
            const size_t N = any_size(100), K = any_size(100), n = N * K;
            const size_t a = random_below(n + 1), b = random_below(n + 1);
            pack_case(sets[s], N, K, a < b ? a : b, a < b ? b : a);
            pack_case(sets[s], N, K, 0, n);
        }
        pack_case(sets[s], 5000, 768, 16 * 768, 5000 * 768); /* larger than caches near the core */
        pack_case(sets[s], 1200, 3072, 777, 1200 * 3072 - 333);
    }
}

int main(void)
{
    kernel_cases_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_chains),
        cmocka_unit_test(large_products_are_chains),
        cmocka_unit_test(blocks_join),
        cmocka_unit_test(lanes_are_chains_folded),
        cmocka_unit_test(trees_of_lanes_are_folded),
        cmocka_unit_test(blocks_of_lanes_join),
        cmocka_unit_test(ranges_are_packed_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
