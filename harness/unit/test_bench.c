/* SPDX-License-Identifier: MIT
 * The kernel bench: kernels that are wrong on purpose are found, at the element where they are
 * wrong; what is right may be timed; probes leave operands alone; sums over a step are those worked
 * out by hand; the products of other libraries are right where they are installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_bench.h"
#include "operands.h"

static const dd_kernels *reference;
static dd_kernels broken; /* the reference with one function exchanged */

/* ---- Small cases ---- */

static dd_case_list all;

static int open_cases(void **state)
{
    (void)state;
    reference = dd_kernels_select(DD_SIMD_OFF, NULL);
    return dd_cases_register(&all) ? 0 : 1;
}

static int close_cases(void **state)
{
    (void)state;
    dd_cases_close(&all);
    return 0;
}

/* A registered case of micro. */
static dd_case case_of(const char *kernel, const char *shape)
{
    for (size_t i = 0; i < all.n; i++)
        if (strcmp(all.at[i].workload.model, "micro") == 0 &&
            strcmp(all.at[i].kernel, kernel) == 0 && strstr(all.at[i].shape, shape)) {
            dd_case c = all.at[i];
            c.copies = c.copies > 2 ? 2 : c.copies; /* enough to tell copies apart */
            return c;
        }
    fail_msg("no case %s %s", kernel, shape);
    return all.at[0];
}

/* ---- Wrong kernels ---- */

static void gelu_of_all_but_the_last(size_t n, const float *x, float *y)
{
    reference->gelu(n - 1, x, y);
    y[n - 1] = x[n - 1];
}

static void add_with_one_bit_off(size_t n, const float *a, const float *b, float *y)
{
    reference->add(n, a, b, y);
    uint32_t bits;
    memcpy(&bits, &y[7], sizeof bits);
    bits ^= 1; /* the last bit of one element */
    memcpy(&y[7], &bits, sizeof bits);
}

static void forgetful_matmul(const dd_matmul *m, void *scratch)
{
    dd_matmul less = *m;
    less.K--; /* the last product of each chain is left out */
    reference->matmul(&less, scratch);
}

static void matmul_of_first_lane(const dd_matmul_lanes *m, void *scratch)
{
    const dd_lane_rows first = {.n = m->lane[0].n};
    dd_matmul_lanes one = *m;
    one.lane = &first;
    one.n_lanes = 1;
    reference->matmul_lanes(&one, scratch);
}

static void pack_of_one_layout(size_t N, size_t K, size_t first, size_t last, const float *W,
                               float *forward, float *input)
{
    float before = input[5];
    reference->pack(N, K, first, last, W, forward, input);
    input[5] = before;
}

static void silent_layernorm(size_t R, size_t C, const float *x, const float *w, const float *b,
                             float *y, float *mean, float *rstd)
{
    float kept = rstd[R - 1];
    reference->layernorm(R, C, x, w, b, y, mean, rstd);
    rstd[R - 1] = kept; /* y is right, what the backward pass needs is not */
}

static void expect_difference(const dd_case *c, unsigned array, size_t element)
{
    dd_operands o;
    dd_difference where;
    assert_true(dd_operands_open(&o, c, reference, 3));
    assert_int_equal(dd_operands_verify(&o, &broken, &where), DD_DIFFERS);
    assert_int_equal(where.array, array);
    assert_int_equal(where.element, element);
    assert_true(where.got != where.want);
    assert_int_equal(o.n_verified, 0);
    dd_operands_close(&o);
}

static void wrong_kernels_are_found(void **state)
{
    (void)state;
    dd_case c = case_of("gelu", "");
    broken = *reference;
    broken.gelu = gelu_of_all_but_the_last;
    expect_difference(&c, 1, c.M * c.N - 1);

    c = case_of("add", "");
    broken = *reference;
    broken.add = add_with_one_bit_off;
    expect_difference(&c, 2, 7);

    c = case_of("pack", "attprojw");
    broken = *reference;
    broken.pack = pack_of_one_layout;
    expect_difference(&c, 2, 5);

    c = case_of("layernorm", "");
    broken = *reference;
    broken.layernorm = silent_layernorm;
    expect_difference(&c, 5, c.M - 1);

    static const char *const products[] = {"forward", "input gradient", "lane's weight gradient",
                                           "lane's weight gradient, folded"};
    broken = *reference;
    broken.matmul = forgetful_matmul;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        c = case_of(products[i], "attproj");
        expect_difference(&c, 2, 0);
    }

    c = case_of("weight gradient", "attproj");
    broken = *reference;
    broken.matmul_lanes = matmul_of_first_lane;
    expect_difference(&c, 2, 0);
}

/* ---- Right kernels ---- */

static void right_kernels_are_timed(void **state)
{
    (void)state;
    static const char *const kernels[] = {"forward", "layernorm_backward", "attention_backward",
                                          "bias_grad", "cross_entropy"};
    const dd_kernels *best = dd_kernels_select(DD_SIMD_AUTO, NULL);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const dd_case c = case_of(kernels[i], i ? "" : "attproj");
        dd_operands o, clone;
        dd_difference where;
        assert_true(dd_operands_open(&o, &c, reference, 3));
        assert_int_equal(dd_operands_verify(&o, best, &where), DD_AGREES);
        assert_true(dd_operands_time(&o, best, 1) > 0);
        assert_true(o.reference_ns > 0);
        /* timed once, it is still right: what timing wrote is drawn anew */
        assert_int_equal(dd_operands_verify(&o, best, &where), DD_AGREES);
        assert_true(dd_operands_clone(&o, &clone));
        assert_true(dd_operands_time(&clone, best, 1) > 0);
        dd_operands_close(&clone);
        dd_operands_close(&o);
    }
}

static void probes_leave_operands_alone(void **state)
{
    (void)state;
    static const char *const kernels[] = {"fold",           "gelu",
                                          "layernorm",      "cross_entropy",
                                          "layernorm_grad", "layernorm_backward",
                                          "gelu_backward",  "add",
                                          "bias_grad"};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const dd_case c = case_of(kernels[i], "");
        dd_operands o, before;
        assert_true(dd_operands_open(&o, &c, reference, 3));
        assert_true(dd_operands_clone(&o, &before));
        assert_true(dd_operands_probe(&o, 1) > 0);
        for (unsigned a = 0; a < c.n_arrays; a++)
            if (c.array[a].role != DD_ROLE_OUT)
                assert_memory_equal(o.memory[a], before.memory[a],
                                    ((c.copies - 1) * o.stride[a] + c.array[a].n) * sizeof(float));
        dd_operands_close(&before);
        dd_operands_close(&o);
    }
}

/* ---- Shapes and sums ---- */

static void lanes_are_those_of_the_step(void **state)
{
    (void)state;
    const dd_workload four = {"micro", 4, 64}, twelve = {"micro", 12, 32}, many = {"micro", 24, 8};
    assert_int_equal(dd_lanes_of_workload(&four).rows, 64);
    assert_int_equal(dd_lanes_of_workload(&four).n_lanes, 4);
    assert_int_equal(dd_lanes_of_workload(&twelve).n_lanes, 12);
    assert_int_equal(dd_lanes_of_workload(&many).rows, 16);
    assert_int_equal(dd_lanes_of_workload(&many).n_lanes, 12);
}

/* Every product of a token's step is there: 2 x 3 x the parameters of all matrices. */
static void cases_hold_all_products(void **state)
{
    (void)state;
    const struct {
        const char *model;
        uint32_t B, T;
    } steps[] = {{"gpt2-124M", 4, 64}, {"gpt2-124M", 4, 256}, {"micro", 8, 128}};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        dd_shape shape;
        assert_true(dd_shape_named(steps[s].model, &shape));
        const double C = shape.C;
        const double matrices = shape.L * 12 * C * C + shape.V * C;
        double flops = 0;
        for (size_t i = 0; i < all.n; i++) {
            const dd_case *c = &all.at[i];
            if (c->pass <= DD_PASS_WEIGHT && strcmp(c->workload.model, steps[s].model) == 0 &&
                c->workload.T == steps[s].T)
                flops += c->calls * c->flops;
        }
        assert_true(flops == 6 * matrices * steps[s].B * steps[s].T);
    }
}

/* Three products and a packing, with times that make the sums easy. */
static void shares_are_sums_over_the_step(void **state)
{
    (void)state;
    const dd_workload w = {"micro", 8, 128};
    const dd_contender by = {.name = "this", .set = reference};
    dd_case cases[4] = {{.workload = w, .pass = DD_PASS_FORWARD, .calls = 2, .flops = 100},
                        {.workload = w, .pass = DD_PASS_INPUT, .calls = 1, .flops = 200},
                        {.workload = w, .pass = DD_PASS_WEIGHT, .calls = 1, .flops = 400},
                        {.workload = {"micro", 0, 0}, .pass = DD_PASS_PACK, .calls = 10}};
    dd_bench_row rows[4] = {{.c = &cases[0], .by = &by, .ns = 2e9, .limit = 100, .share = 0.5},
                            {.c = &cases[1], .by = &by, .ns = 2e9, .limit = 100, .share = 1.0},
                            {.c = &cases[2], .by = &by, .ns = 8e9, .limit = 100, .share = 0.5},
                            {.c = &cases[3], .by = &by, .ns = 0.2e9}};
    const dd_case_list list = {.at = cases, .n = 4};
    const dd_bench_rows table = {.at = rows, .n = 4};
    dd_step_share s = dd_bench_step_share(&list, &table, &w, &by);
    assert_true(s.whole[0] && s.whole[1] && s.whole[2]);
    assert_true(s.of_pass[0] == 0.5 && s.of_pass[1] == 1.0 && s.of_pass[2] == 0.5);
    assert_true(s.all == 800.0 / 1400); /* 4 + 2 + 8 seconds at a peak of 100 */
    assert_true(s.seconds == 14);
    assert_true(s.pack_seconds == 2);
    assert_true(s.with_pack == 800.0 / 1600);

    const dd_bench_rows without = {.at = rows, .n = 3};
    assert_true(dd_bench_step_share(&list, &without, &w, &by).with_pack == 0);
    const dd_bench_rows first = {.at = rows, .n = 1};
    s = dd_bench_step_share(&list, &first, &w, &by);
    assert_true(s.whole[0] && !s.whole[1] && s.seconds == 0 && s.with_pack == 0);
}

/* ---- Peers ---- */

static void peers_multiply_or_say_why_not(void **state)
{
    (void)state;
    static const char *const products[] = {"forward", "input gradient", "weight gradient"};
    const dd_kernels *best = dd_kernels_select(DD_SIMD_AUTO, NULL);
    dd_peer *peers[DD_PEERS] = {NULL};
    char why[DD_PEER_WHY_MAX];
    for (unsigned p = 0; p < DD_PEERS; p++) {
        why[0] = 0;
        if (!dd_peer_open(p, best, &peers[p], why)) {
            assert_null(peers[p]);
            assert_true(why[0] != 0);
            print_message("%s: %s\n", dd_peer_name(p), why);
        }
    }
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const dd_case c = case_of(products[i], "attproj");
        for (unsigned p = 0; p < DD_PEERS; p++) {
            double peak = 0;
            if (!peers[p])
                continue;
            if (!dd_peer_begin(peers[p], &c, why))
                fail_msg("%s: %s %s: %s", dd_peer_name(p), c.kernel, c.shape, why);
            assert_true(dd_peer_time(peers[p], 1, &peak) > 0);
            assert_true(peak > 0);
        }
    }
    for (unsigned p = 0; p < DD_PEERS; p++)
        dd_peer_close(peers[p]); /* in the order of opening: later children hold earlier sockets */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_kernels_are_found),
        cmocka_unit_test(right_kernels_are_timed),
        cmocka_unit_test(probes_leave_operands_alone),
        cmocka_unit_test(lanes_are_those_of_the_step),
        cmocka_unit_test(cases_hold_all_products),
        cmocka_unit_test(shares_are_sums_over_the_step),
        cmocka_unit_test(peers_multiply_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, open_cases, close_cases);
}
