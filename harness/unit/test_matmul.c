/* SPDX-License-Identifier: MIT
 * Matrix products and the packing of weights, of every set that runs here, bit for bit against the
 * plain loops of NUMERICS.md: seeded shapes, strides, alignments, values and sinks, the right
 * operand as a matrix and in panels. Buffers lie against inaccessible pages. DD_TEST_SEED repeats a
 * run. Refuses tolerances. */
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

static void product_case(const dd_kernels *set, size_t M, size_t N, size_t K, bool a_across,
                         right side, dd_sink sink)
{
    const values kind = any_values();
    dd_matmul m = {.M = M, .N = N, .K = K, .sink = sink};
    const size_t pad_a = random_below(3) * 5, pad_b = random_below(3) * 3;
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
        cmocka_unit_test(ranges_are_packed_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
