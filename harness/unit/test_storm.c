/* SPDX-License-Identifier: MIT
 * A storm: trainers of random configurations, commanded and cancelled by several threads at random
 * moments of their steps. Whatever comes of it, every step that goes through has the oracle's loss
 * and norm, and the last one its weights. An argument: the seed to begin with. */
#include "dodeca.h"
#include "platform.h"
#include "serial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS = 120, STEPS = 12, STORMERS = 3, COMMANDS = 60, MOST_LANE_DEPTH = 2 };

static uint64_t first_seed = 1;

static uint32_t pick(uint64_t *random, uint32_t n)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)((*random >> 16) % n);
}

/* ---- What is trained ---- */

static dd_config config_at_random(uint64_t *random)
{
    dd_config c;
    dd_config_default(&c);
    const uint32_t NH = 1 + pick(random, 2);
    c.shape = (dd_shape){.L = 1 + pick(random, 2),
                         .NH = NH,
                         .C = NH * (1 + pick(random, 5)),
                         .V = pick(random, 6) ? 64 : 900, /* rows of wte across slices */
                         .T_max = 2 + pick(random, 4)};
    c.lane_depth = 1 + pick(random, MOST_LANE_DEPTH);
    c.batch = 1 + pick(random, 40);
    c.nan_policy = DD_NAN_SKIP_STEP;
    c.lr = pick(random, 6) ? 1e-2 : 1e30; /* the latter ends in steps that are discarded */
    c.depth = pick(random, 4);
    c.allow_idle = true;
    c.workers = 1 + pick(random, 12);
    c.max_workers = c.workers + pick(random, 12);
    c.steal = pick(random, 2);
    c.guard = pick(random, 4) == 0;
    c.pin = pick(random, 4) == 0;
    c.barrier = (dd_barrier)pick(random, 2);
    c.reduce = (dd_reduce)pick(random, DD_REDUCE_AUTO + 1);
    if (c.guard && c.reduce == DD_REDUCE_OWNER) /* they refuse each other */
        c.reduce = DD_REDUCE_AUTO;
    c.seed = 1 + pick(random, 5);
    return c;
}

/* What the oracle makes of it: hash[i] before step i. */
typedef struct truth {
    dd_step step[STEPS + 1];
    uint8_t hash[STEPS + 2][16];
} truth;

static void truth_find(const dd_config *c, const dd_data *data, truth *out)
{
    dd_serial *oracle;
    assert_int_equal(dd_serial_open(c, data, &oracle, NULL), DD_OK);
    for (uint32_t i = 0; i <= STEPS; i++) {
        dd_serial_hash(oracle, out->hash[i]);
        assert_int_equal(dd_serial_step(oracle, &out->step[i], NULL), DD_OK);
    }
    dd_serial_hash(oracle, out->hash[STEPS + 1]);
    dd_serial_close(oracle);
}

/* ---- The storm ---- */

typedef struct stormer {
    dd_trainer *trainer;
    uint64_t random;
    dd_status worst; /* read when it is joined */
    dd_thread thread;
} stormer;

static dd_status command_at_random(dd_trainer *t, uint64_t *random)
{
    char place[16];
    dd_sphere_info sphere;
    snprintf(place, sizeof place, pick(random, 3) ? "%u" : "%u.%u", 4 * pick(random, 3),
             4 * pick(random, 3));
    const uint32_t what = pick(random, DD_COMMANDS + 3);
    if (what == DD_COMMAND_SPAWN)
        return dd_trainer_spawn(t, place, 1 + pick(random, 5), NULL);
    if (what == DD_COMMAND_TERMINATE)
        return dd_trainer_terminate(t, place, NULL);
    if (what < DD_COMMANDS)
        return dd_trainer_command(t, (dd_command)what, NULL);
    if (what == DD_COMMANDS)
        dd_trainer_cancel(t);
    for (uint32_t i = 0; dd_trainer_sphere_get(t, i, false, &sphere); i++)
        continue;
    return DD_OK;
}

static void storm(void *arg)
{
    stormer *s = arg;
    for (int i = 0; i < COMMANDS; i++) {
        dd_status st = command_at_random(s->trainer, &s->random);
        if (st && st != DD_ERR_REFUSED)
            s->worst = st;
    }
}

/* Resumes and starts until all is calm: a step must not wait for ever. */
static dd_atomic_u32 calm;

static void keep_going(void *trainer)
{
    while (!dd_u32_load(&calm, DD_ACQUIRE)) {
        (void)dd_trainer_command(trainer, DD_COMMAND_RESUME, NULL);
        (void)dd_trainer_command(trainer, DD_COMMAND_START, NULL);
    }
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* returns  whether the step went through; *number: its own */
static bool step_as_it_should_be(dd_trainer *t, const truth *want, uint64_t *number)
{
    dd_step got;
    dd_error error;
    const dd_status st = dd_trainer_step(t, &got, &error);
    if (st == DD_ERR_CANCELLED || st == DD_ERR_STOPPED)
        return false;
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
    assert_true(got.step <= STEPS);
    const dd_step *w = &want->step[got.step];
    assert_true(same(got.loss, w->loss) && same(got.norm, w->norm));
    assert_int_equal(got.discarded, w->discarded);
    *number = got.step;
    return true;
}

static void survive(dd_trainer *t, const truth *want, uint64_t *random)
{
    stormer stormers[STORMERS];
    dd_thread nurse;
    uint64_t number = 0;
    const uint32_t n = pick(random, STORMERS + 1);
    dd_u32_init(&calm, 0);
    assert_int_equal(dd_thread_create(&nurse, "nurse", 0, keep_going, t), 0);
    for (uint32_t i = 0; i < n; i++) {
        stormers[i] = (stormer){.trainer = t, .random = *random + 77 * i + 1};
        assert_int_equal(dd_thread_create(&stormers[i].thread, "storm", 0, storm, &stormers[i]), 0);
    }
    for (uint32_t tries = 0, through = 0; tries < 100 && through < STEPS; tries++)
        through += step_as_it_should_be(t, want, &number);
    for (uint32_t i = 0; i < n; i++) {
        dd_thread_join(&stormers[i].thread);
        assert_int_equal(stormers[i].worst, DD_OK);
    }
    while (!step_as_it_should_be(t, want, &number)) /* a cancel may still stand */
        continue;
    dd_u32_store(&calm, 1, DD_RELEASE);
    dd_thread_join(&nurse);

    uint8_t hash[16];
    dd_trainer_hash(t, hash);
    assert_memory_equal(hash, want->hash[number + 1], sizeof hash);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.control_lanes, 0);
    assert_true(info.most_segments <= 3 * MOST_LANE_DEPTH + 1);
}

static void nothing_leaves_a_trace(void **state)
{
    (void)state;
    dd_data *data;
    assert_int_equal(dd_data_open("builtin", 3, &data, NULL), DD_OK);
    for (uint64_t seed = first_seed; seed < first_seed + RUNS; seed++) {
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
        const dd_config config = config_at_random(&random);
        truth want;
        truth_find(&config, data, &want);
        dd_trainer *t;
        dd_error error;
        dd_status st = dd_trainer_open(&config, data, &t, &error);
        if (st == DD_ERR_CPU && config.pin) /* no topology to be read here */
            continue;
        if (st)
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
        survive(t, &want, &random);
        dd_trainer_close(t);
    }
    dd_data_close(data);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    print_message("seeds %llu to %llu\n", (unsigned long long)first_seed,
                  (unsigned long long)first_seed + RUNS - 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_leaves_a_trace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
