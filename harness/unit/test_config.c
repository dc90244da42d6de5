/* SPDX-License-Identifier: MIT
 * core/data: the shapes of models, and the checks of a configuration: every wrong setting is
 * refused in words that tell what would do. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include "config.h"
#include "dodeca.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_shapes(void **state)
{
    (void)state;
    dd_shape shape;
    assert_true(dd_shape_named("gpt2-124M", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 124439808); /* as Hugging Face counts "gpt2" */
    assert_true(dd_shape_named("nano", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 834304);
    assert_true(dd_shape_named("micro", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 3323392);
    assert_false(dd_shape_named("giant", &shape));
    assert_false(dd_shape_named(NULL, &shape));
    size_t n = 0;
    for (; dd_shape_name(n); n++)
        assert_true(dd_shape_named(dd_shape_name(n), &shape));
    assert_int_equal(n, 3);

    uint32_t huge = UINT32_MAX, big = 1 << 24;
    const dd_shape invalid[] = {
        {0, 1, 1, 1, 1},
        {1, 0, 1, 1, 1},
        {1, 1, 0, 1, 1},
        {1, 1, 1, 0, 1},
        {1, 1, 1, 1, 0},
        {1, 3, 8, 1, 1},
        {huge, huge, huge, huge, huge},
        {big, big, big, big, big},
        {1, 1, big, 1, 1},
        {1, 1, 1 << 20, big, 1},
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_int_equal(dd_shape_n_parameters(&invalid[i]), 0);
    assert_int_equal(dd_shape_n_parameters(NULL), 0);
    assert_true(dd_shape_n_parameters(&(dd_shape){1, 1, 1, 1, 1}) == 29);
}

/* One wrong setting at a time, and what the message must say. */
typedef struct wrong {
    void (*set)(dd_config *c);
    const char *words;
} wrong;

#define WRONG(name, statement)                                                                     \
    static void name(dd_config *c)                                                                 \
    {                                                                                              \
        c->statement;                                                                              \
    }
WRONG(zero_l, shape.L = 0)
WRONG(heads, shape.NH = 3)
WRONG(vocabulary, shape.V = 63)
WRONG(long_seq, seq = 65)
WRONG(no_batch, batch = 0)
WRONG(large_batch, batch = 1 << 24)
WRONG(no_lanes, lane_depth = 0)
WRONG(deep_lanes, lane_depth = 9)
WRONG(no_steps, horizon = 0)
WRONG(long_warmup, warmup = 101)
WRONG(nan_lr, lr = (double)NAN)
WRONG(zero_lr, lr = 0)
WRONG(tiny_lr, lr = 1e-60)
WRONG(huge_lr, lr = 1e39)
WRONG(ratio, min_lr_ratio = 1.5)
WRONG(nan_ratio, min_lr_ratio = (double)NAN)
WRONG(one_beta1, beta1 = 1)
WRONG(nearly_one_beta2, beta2 = 0.99999999999)
WRONG(negative_beta2, beta2 = -0.1)
WRONG(zero_eps, eps = 0)
WRONG(decay, weight_decay = -1)
WRONG(infinite_decay, weight_decay = (double)INFINITY)
WRONG(clip, grad_clip = -1)
WRONG(nan_clip, grad_clip = (double)NAN)
WRONG(policy, nan_policy = (dd_nan_policy)7)
WRONG(short_data, batch = 20000)
WRONG(lanes4, lane_depth = 4)
WRONG(depth4, depth = 4)
WRONG(workers13, workers = 13)
WRONG(simd, simd = (dd_simd)9)
WRONG(barrier, barrier = (dd_barrier)9)
WRONG(reduce, reduce = (dd_reduce)9)
WRONG(no_reduce, reduce = (dd_reduce)(DD_REDUCE_AUTO + 1))
static void guarded_owner(dd_config *c)
{
    c->guard = true;
    c->reduce = DD_REDUCE_OWNER;
}
static void workers145(dd_config *c)
{
    c->depth = 2;
    c->workers = 145;
}
static void workers1729(dd_config *c)
{
    c->depth = DD_DEPTH_AUTO;
    c->workers = 1729;
}
WRONG(most1729, max_workers = 1729)
static void fewer_at_most(dd_config *c)
{
    c->workers = 7;
    c->max_workers = 6;
}
static void idle(dd_config *c)
{
    c->batch = 5;
    c->workers = 8;
}
static void idle_for_lanes(dd_config *c)
{
    c->batch = 20;
    c->depth = 2;
    c->workers = 15;
}
static void idle_for_both(dd_config *c)
{
    c->depth = 3;
    c->workers = 145;
}
WRONG(idle_at_most, max_workers = 13)

static void test_config(void **state)
{
    (void)state;
    static const wrong decides_bits[] = {
        {zero_l, "model|L is 0|from 1"},
        {heads, "C 128|NH 3|C 129"},
        {vocabulary, "token 63|V is 63|at least 64"},
        {long_seq, "seq 65|64"},
        {no_batch, "batch 0|at least 1"},
        {large_batch, "batch 16777216|2^24|262143 at most"},
        {no_lanes, "lane-depth 0|from 1"},
        {deep_lanes, "lane-depth 9|to 8"},
        {no_steps, "steps 0|from 1"},
        {long_warmup, "warmup 101|100 steps"},
        {nan_lr, "lr nan|greater than 0"},
        {zero_lr, "lr 0|greater than 0"},
        {tiny_lr, "lr 1e-60|as a float"},
        {huge_lr, "lr 1e+39|as a float"},
        {ratio, "min-lr-ratio 1.5|at most 1"},
        {nan_ratio, "min-lr-ratio nan|at most 1"},
        {one_beta1, "beta1 1|less than 1"},
        {nearly_one_beta2, "beta2 1|less than 1"},
        {negative_beta2, "beta2 -0.1|at least 0"},
        {zero_eps, "eps 0|greater than 0"},
        {decay, "weight-decay -1|at least 0"},
        {infinite_decay, "weight-decay inf|finite"},
        {clip, "grad-clip -1|at least 0"},
        {nan_clip, "grad-clip nan|finite"},
        {policy, "nan-policy 7|abort or skip-step"},
        {short_data, "1048576 tokens|batch 20000|would do"},
    };
    static const wrong others[] = {
        {lanes4, "lane-depth 4|from 1 to 3"},
        {depth4, "depth 4|from 1 to 3, or auto"},
        {workers13, "workers 13: depth 1 holds 12 workers; depth 2 holds 144"},
        {workers145, "workers 145: depth 2 holds 144 workers; depth 3 holds 1728"},
        {workers1729, "workers 1729|depth 3 holds 1728|none deeper"},
        {most1729, "max-workers 1729|depth 3 holds 1728|none deeper"},
        {fewer_at_most, "max-workers 6|at least the 7 workers"},
        {idle, "workers 8|batch 5|5 lanes|use batch 8, or allow-idle"},
        {idle_for_lanes, "workers 15|12 lanes|use lane-depth 2, or allow-idle"},
        {idle_for_both, "workers 145|12 lanes|use batch 145 and lane-depth 3, or allow-idle"},
        {idle_at_most, "max-workers 13|12 lanes|use batch 13 and lane-depth 2"},
        {simd, "simd 9"},
        {barrier, "barrier 9"},
        {reduce, "reduce 9|tree, control, sliced, owner or auto"},
        {no_reduce, "reduce 5"},
        {guarded_owner, "guard: |reduce owner|choose tree, sliced or control"},
    };
    size_t n_bits = sizeof decides_bits / sizeof *decides_bits,
           n_others = sizeof others / sizeof *others;
    dd_data *data;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    dd_config good;
    dd_error error;
    dd_config_default(&good);
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    for (size_t i = 0; i < n_bits + n_others; i++) {
        const wrong *w = i < n_bits ? &decides_bits[i] : &others[i - n_bits];
        dd_config config = good;
        w->set(&config);
        error.message[0] = 0;
        assert_int_not_equal(dd_config_check(&config, data, &error), DD_OK);
        assert_null(strchr(error.message, '\n'));
        char list[128];
        snprintf(list, sizeof list, "%s", w->words);
        char *rest = NULL;
        for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
            if (!strstr(error.message, word))
                fail_msg("\"%s\" does not say \"%s\"", error.message, word);
        dd_status bits = dd_config_check_bits(&config, data, &error);
        assert_true((bits != DD_OK) == (i < n_bits));
    }
    assert_int_equal(dd_config_check(NULL, data, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_config_check(&good, NULL, &error), DD_ERR_ARGUMENT);

    /* at the limits */
    good.workers = 12;
    good.seq = 64;
    good.warmup = good.horizon;
    good.min_lr_ratio = 1;
    good.beta1 = 0;
    good.weight_decay = 0;
    good.grad_clip = 0;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.lane_depth = good.depth = 3;
    good.workers = good.max_workers = good.batch = 1728;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.depth = DD_DEPTH_AUTO;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.lane_depth = 1;
    good.max_workers = 0;
    idle(&good);
    good.allow_idle = true;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    dd_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
