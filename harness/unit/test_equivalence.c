/* SPDX-License-Identifier: MIT
 * The bit contract, end to end: whatever the number of workers, the depth, the lane depth, the
 * barrier, the reduction, stealing and the kernel set, the trainer's losses, norms and weights are
 * those of the oracle, bit for bit, over at least 20 steps. With an argument the ways are divided
 * by it, for sanitizers: shapes, batches, numbers of workers and kernel sets stay, but for the one
 * run of nano without vectors. */
#include "dodeca.h"
#include "kernels.h"
#include "serial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 20

/* What a run leaves behind. */
typedef struct trace {
    double loss[STEPS], norm[STEPS], validation;
    uint8_t hash[16];
} trace;

static dd_data *data;
static uint32_t divisor = 1;

static dd_config shape_config(dd_shape shape, uint32_t batch, uint32_t seq)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = shape;
    config.batch = batch;
    config.seq = seq;
    config.seed = 11;
    config.horizon = STEPS;
    config.warmup = 5;
    config.lr = 3e-3;
    return config;
}

static void check(dd_status st, const dd_error *error)
{
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error->message);
}

static trace run_oracle(const dd_config *config)
{
    trace t;
    dd_error error;
    dd_serial *oracle;
    check(dd_serial_open(config, data, &oracle, &error), &error);
    for (int i = 0; i < STEPS; i++) {
        dd_step step;
        check(dd_serial_step(oracle, &step, &error), &error);
        t.loss[i] = step.loss;
        t.norm[i] = step.norm;
    }
    check(dd_serial_validate(oracle, 2, &t.validation, &error), &error);
    dd_serial_hash(oracle, t.hash);
    dd_serial_close(oracle);
    return t;
}

static trace run_trainer(const dd_config *config)
{
    trace t;
    dd_error error;
    dd_trainer *trainer;
    check(dd_trainer_open(config, data, &trainer, &error), &error);
    for (int i = 0; i < STEPS; i++) {
        dd_step step;
        check(dd_trainer_step(trainer, &step, &error), &error);
        t.loss[i] = step.loss;
        t.norm[i] = step.norm;
    }
    check(dd_trainer_validate(trainer, 2, &t.validation, &error), &error);
    dd_trainer_hash(trainer, t.hash);
    dd_trainer_close(trainer);
    return t;
}

/* The same bits; a NaN's sign and payload do not count (NUMERICS 1). */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void compare(const dd_config *c, const trace *got, const trace *want)
{
    char cell[200];
    snprintf(cell, sizeof cell,
             "B %u T %u lane depth %u workers %u depth %u barrier %d reduce %d steal %d guard %d "
             "pin %d simd %d",
             c->batch, c->seq, c->lane_depth, c->workers, c->depth, (int)c->barrier, (int)c->reduce,
             c->steal, c->guard, c->pin, (int)c->simd);
    for (int i = 0; i < STEPS; i++)
        if (!same(got->loss[i], want->loss[i]) || !same(got->norm[i], want->norm[i]))
            fail_msg("%s: step %d: loss %a norm %a, the oracle has %a %a", cell, i, got->loss[i],
                     got->norm[i], want->loss[i], want->norm[i]);
    if (!same(got->validation, want->validation))
        fail_msg("%s: validation loss %a, the oracle has %a", cell, got->validation,
                 want->validation);
    if (memcmp(got->hash, want->hash, sizeof got->hash))
        fail_msg("%s: the weights' hash differs from the oracle's", cell);
}

enum { WAYS = 16 };

/* The w-th way to carry out a step: every barrier, reduction and stealing; by turns every depth,
 * guard mode and pinning. */
static void choose_way(dd_config *config, uint32_t way)
{
    uint32_t least = 1;
    for (uint32_t room = 12; room < config->workers; room *= 12)
        least++;
    config->barrier = way % 2 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
    config->reduce = (dd_reduce)(way / 2 % 4);
    config->steal = way / 8 % 2;
    config->depth = least + way % (4 - least);
    config->guard = way % 7 == 3 && config->reduce != DD_REDUCE_OWNER;
    config->pin = way % 7 == 5;
}

/* The kernel sets of a sweep, ended by DD_SIMD_AUTO, which is 0. */
enum { N_SETS = 4 };
static const dd_simd off[N_SETS] = {DD_SIMD_OFF};
static dd_simd wide[N_SETS]; /* those with vectors that this CPU runs */

static void find_sets(void)
{
    static const dd_simd all[] = {DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *why;
        if (dd_kernels_select(all[i], &why))
            wide[n++] = all[i];
        else
            print_message("SKIP (optional): %s\n", why);
    }
}

static int open_data(void **state)
{
    (void)state;
    find_sets();
    return dd_data_open("builtin", 7, &data, NULL) != DD_OK;
}

static int close_data(void **state)
{
    (void)state;
    dd_data_close(data);
    return 0;
}

/* `ways` ways, divided, for each kernel set and each of the worker counts (0-terminated), going on
 * where the sweep before ended, so that all ways occur with all counts. */
static void sweep(dd_config config, const trace *want, const dd_simd *simd, const uint32_t *workers,
                  uint32_t ways)
{
    static uint32_t way;
    ways = (ways + divisor - 1) / divisor;
    for (uint32_t s = 0; s < N_SETS && simd[s]; s++) {
        config.simd = simd[s];
        for (const uint32_t *w = workers; *w; w++)
            for (uint32_t i = 0; i < ways; i++) {
                config.workers = *w;
                choose_way(&config, way++);
                trace got = run_trainer(&config);
                compare(&config, &got, want);
            }
        way += 5; /* 5 and 16 have no factor in common */
    }
}

static const uint32_t all_workers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0};

/* Awkward in every dimension; B from one sequence to more than two a lane. */
static void small_odd_shape(void **state)
{
    (void)state;
    const dd_shape shape = {.L = 2, .NH = 3, .C = 27, .V = 67, .T_max = 9};
    const uint32_t batches[] = {1, 2, 5, 10, 12, 13, 26};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        dd_config config = shape_config(shape, batches[i], 7);
        config.allow_idle = true;
        trace want = run_oracle(&config);
        sweep(config, &want, off, all_workers, 1);
        sweep(config, &want, wide, all_workers, 2);
    }
}

/* 144 and 1,728 lanes, most of them empty, or one for every worker, or with several sequences. */
static void deep_lanes(void **state)
{
    (void)state;
    const dd_shape shape = {.L = 1, .NH = 1, .C = 5, .V = 64, .T_max = 3};
    static const struct {
        uint32_t lane_depth, batch;
        uint32_t workers[8];
    } runs[] = {
        {2, 1, {1, 13}},           {2, 11, {1, 3, 11}},      {2, 12, {2, 12, 20}},
        {2, 40, {5, 13, 40}},      {2, 143, {1, 7, 12, 30}}, {2, 144, {2, 25, 143, 144}},
        {2, 301, {1, 11, 12, 36}}, {3, 7, {1, 7}},           {3, 145, {2, 12, 19}},
        {3, 1728, {1, 5, 29}},     {3, 2000, {3, 12, 150}},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        dd_config config = shape_config(shape, runs[i].batch, 0);
        config.lane_depth = runs[i].lane_depth;
        config.allow_idle = true;
        trace want = run_oracle(&config);
        sweep(config, &want, off, runs[i].workers, 3);
        sweep(config, &want, wide, runs[i].workers, 1);
    }
}

/* Small, and every way with every number of workers a sphere has room for. */
static void all_ways(void **state)
{
    (void)state;
    const dd_shape shape = {.L = 1, .NH = 2, .C = 8, .V = 64, .T_max = 4};
    const uint32_t batches[] = {12, 17};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        dd_config config = shape_config(shape, batches[i], 0);
        trace want = run_oracle(&config);
        sweep(config, &want, wide[0] ? wide : off, all_workers, WAYS);
    }
}

static void nano(void **state)
{
    (void)state;
    dd_shape shape;
    assert_true(dd_shape_named("nano", &shape));
    const uint32_t few[] = {1, 5, 0}, more[] = {1, 2, 12, 0};
    dd_config config = shape_config(shape, 12, 16);
    trace want = run_oracle(&config);
    sweep(config, &want, wide, more, 3);
    if (divisor == 1) {
        config.workers = 2;
        config.simd = DD_SIMD_OFF;
        trace got = run_trainer(&config);
        compare(&config, &got, &want);
    }

    config = shape_config(shape, 13, 15); /* uneven lanes, 195 tokens */
    want = run_oracle(&config);
    sweep(config, &want, wide, few, 2);
    config = shape_config(shape, 10, 17); /* two empty lanes */
    want = run_oracle(&config);
    sweep(config, &want, wide, few, 2);
}

/* The smallest sizes, where loops have nothing to do. */
static void least_shapes(void **state)
{
    (void)state;
    const dd_shape shapes[] = {{.L = 1, .NH = 1, .C = 1, .V = 64, .T_max = 1},
                               {.L = 1, .NH = 2, .C = 2, .V = 64, .T_max = 3},
                               {.L = 3, .NH = 1, .C = 17, .V = 65, .T_max = 33}};
    const uint32_t workers[] = {1, 4, 0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        dd_config config = shape_config(shapes[i], 7, 0);
        trace want = run_oracle(&config);
        sweep(config, &want, off, workers, 3);
        sweep(config, &want, wide, workers, 3);
    }
}

/* Settings away from their defaults: limits of the schedule, clipping that takes nearly everything,
 * moments without memory, weights that run away until steps are discarded. */
static void awkward_settings(void **state)
{
    (void)state;
    const dd_shape shape = {.L = 1, .NH = 2, .C = 10, .V = 64, .T_max = 6};
    const uint32_t workers[] = {1, 3, 0};
    enum { N_SETTINGS = 9 };
    for (int i = 0; i < N_SETTINGS; i++) {
        dd_config c = shape_config(shape, 13, 0);
        switch (i) {
        case 0: /* steps past the horizon */
            c.horizon = STEPS / 2;
            break;
        case 1:
            c.warmup = c.horizon = STEPS / 4;
            break;
        case 2:
            c.warmup = 0;
            c.min_lr_ratio = 0;
            break;
        case 3:
            c.grad_clip = 0;
            break;
        case 4: /* the factor is denormal */
            c.grad_clip = 1e-42;
            break;
        case 5:
            c.weight_decay = 0;
            c.min_lr_ratio = 1;
            break;
        case 6:
            c.beta1 = c.beta2 = 0;
            c.eps = 1e-44;
            break;
        default:
            c.lr = i == 7 ? 1e4 : 1e38;
            c.nan_policy = DD_NAN_SKIP_STEP;
            break;
        }
        trace want = run_oracle(&c);
        sweep(c, &want, off, workers, 3);
        sweep(c, &want, wide, workers, 3);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        divisor = (uint32_t)strtoul(argv[1], NULL, 10);
    if (divisor == 0)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_odd_shape),  cmocka_unit_test(all_ways),
        cmocka_unit_test(deep_lanes),       cmocka_unit_test(least_shapes),
        cmocka_unit_test(awkward_settings), cmocka_unit_test(nano),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
