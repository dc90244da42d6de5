/* SPDX-License-Identifier: MIT
 * Saving and loading as a training meets them: that who resumes ends where who was not stopped
 * does, whatever does not decide the bits; that what is written is the moment of the save, copied
 * as updates come to it; saves beside everything else a trainer does; threads and memory that are
 * not to be had. What files may hold is in test_checkpoint_file.c. */
#define _GNU_SOURCE /* access */
#include "checkpoint_fixture.h"
#include "counted_alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Threads that are not to be had ---- */

static bool no_thread; /* for the name that saves give theirs */

int __real_dd_thread_create(void *thread, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);
int __wrap_dd_thread_create(void *thread, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);

int __wrap_dd_thread_create(void *thread, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg)
{
    if (no_thread && !strcmp(name, "dd-save"))
        return 11; /* EAGAIN */
    return __real_dd_thread_create(thread, name, stack_bytes, run, arg);
}

/* ---- Resuming ---- */

enum { STEPS = 6 };

/* What of a configuration decides nothing. */
typedef struct way {
    uint32_t workers, depth, max_workers;
    dd_reduce reduce;
    dd_barrier barrier;
    dd_simd simd;
    bool steal, guard;
} way;

static const way ways[] = {
    {.workers = 1, .depth = 1, .reduce = DD_REDUCE_OWNER},
    {.workers = 2, .depth = 1, .reduce = DD_REDUCE_TREE, .steal = true},
    {.workers = 3, .depth = 2, .reduce = DD_REDUCE_CONTROL, .barrier = DD_BARRIER_PTHREAD},
    {.workers = 5, .depth = 1, .reduce = DD_REDUCE_SLICED, .simd = DD_SIMD_OFF},
    {.workers = 12, .depth = 3, .reduce = DD_REDUCE_TREE, .guard = true},
    {.workers = 2, .depth = DD_DEPTH_AUTO, .max_workers = 6, .reduce = DD_REDUCE_AUTO},
};
enum { WAYS = sizeof ways / sizeof *ways };

static dd_config by(dd_config config, const way *w)
{
    config.workers = w->workers;
    config.depth = w->depth;
    config.max_workers = w->max_workers;
    config.reduce = w->reduce;
    config.barrier = w->barrier;
    config.simd = w->simd;
    config.steal = w->steal;
    config.guard = w->guard;
    return config;
}

static void resume(const dd_config *from, const dd_config *to, uint32_t at, const uint8_t hash[16])
{
    const char *path = file_named("resume");
    dd_trainer *t = open_trainer(from);
    steps_ok(t, at);
    save_ok(t, path, 1);
    wait_ok(t);
    dd_trainer_close(t);
    t = open_trainer(to);
    load_ok(t, path);
    for (uint32_t i = at; i < STEPS; i++) {
        dd_step step;
        assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
        assert_int_equal(step.step, i);
    }
    assert_weights(t, hash);
    dd_trainer_close(t);
}

static void resumes_anywhere_in_any_way(void **state)
{
    (void)state;
    dd_config config = smallest();
    uint8_t hash[16];
    oracle_hash(&config, STEPS, hash);
    for (uint32_t i = 0; i < WAYS; i++)
        for (uint32_t at = 0; at <= STEPS; at++) {
            const dd_config from = by(config, &ways[(i + at) % WAYS]), to = by(config, &ways[i]);
            resume(&from, &to, at, hash);
        }
}

/* Lanes of several levels, a shape whose last page and block are not full, epochs that end. */
static void resumes_other_shapes(void **state)
{
    (void)state;
    dd_config configs[] = {smallest(), of_pages(), smallest()};
    configs[0].lane_depth = 2;
    configs[0].batch = 30;
    configs[1].grad_clip = 0.01;
    configs[1].nan_policy = DD_NAN_SKIP_STEP;
    configs[2].batch = 1500; /* two steps an epoch */
    configs[2].seq = 4;
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        uint8_t hash[16];
        oracle_hash(&configs[i], STEPS, hash);
        for (uint32_t at = 1; at < STEPS; at += 2) {
            const dd_config from = by(configs[i], &ways[at % 4]),
                            to = by(configs[i], &ways[(at + 1) % 4]);
            resume(&from, &to, at, hash);
        }
    }
}

/* A trainer that has gone elsewhere becomes what was saved, in all its parts. */
static void load_forgets_what_was(void **state)
{
    (void)state;
    const dd_config config = of_pages();
    uint8_t hash[16];
    oracle_hash(&config, STEPS, hash);
    dd_trainer *t = open_trainer(&config);
    steps_ok(t, 2);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
    steps_ok(t, 1);
    save_ok(t, file_named("a"), 1);
    steps_ok(t, 3);
    set_one(t, 7, (float)NAN);
    load_ok(t, file_named("a"));
    steps_ok(t, STEPS - 3);
    assert_weights(t, hash);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, NULL), DD_OK);
    steps_ok(t, STEPS - 2);
    assert_weights(t, hash);
    dd_trainer_close(t);
}

/* ---- The moment of the save ---- */

/* The whole file is what one is that was written at once, nothing trained meanwhile. */
static void assert_same_files(const char *a, const char *b)
{
    FILE *file[2] = {fopen(a, "rb"), fopen(b, "rb")};
    assert_true(file[0] && file[1]);
    for (int c = 0; c != EOF;) {
        c = getc(file[0]);
        assert_int_equal(c, getc(file[1]));
    }
    fclose(file[0]);
    fclose(file[1]);
}

static void a_save_is_of_its_moment(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WAYS; i++) {
        const dd_config config = by(of_pages(), &ways[i]);
        dd_trainer *t = open_trainer(&config);
        dd_save_info info;
        steps_ok(t, 2);
        save_ok(t, file_named("at-once"), 1);
        dd_trainer_save_info_get(t, &info);
        assert_true(info.under_way && info.step == 2 && info.pages > 3 && !info.pages_copied);
        assert_int_equal(access(file_named("at-once"), F_OK), -1);
        wait_ok(t);
        dd_trainer_save_info_get(t, &info);
        assert_true(!info.under_way && info.n_saved == 1 && !info.pages_copied);
        save_ok(t, file_named("beside"), 1);
        steps_ok(t, 1);
        dd_trainer_save_info_get(t, &info);
        assert_int_equal(info.pages_copied, info.pages);
        steps_ok(t, 3);
        wait_ok(t);
        assert_same_files(file_named("at-once"), file_named("beside"));
        dd_trainer_close(t);
        empty_folder();
    }
}

/* Writing of single weights copies single pages; the rest is written as it is shared. */
static void pages_are_copied_as_they_are_written(void **state)
{
    (void)state;
    const dd_config config = of_pages();
    dd_trainer *t = open_trainer(&config);
    dd_save_info info;
    steps_ok(t, 2);
    save_ok(t, file_named("at-once"), 1);
    wait_ok(t);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
    steps_ok(t, 1);
    load_ok(t, file_named("at-once"));
    save_ok(t, file_named("beside"), 1);
    set_one(t, 0, 5);
    set_one(t, 1, 5);
    set_one(t, 3000, 5);
    dd_trainer_save_info_get(t, &info);
    assert_int_equal(info.pages_copied, 2);
    wait_ok(t);
    assert_same_files(file_named("at-once"), file_named("beside"));
    /* a restore writes pages too */
    load_ok(t, file_named("at-once"));
    steps_ok(t, 1);
    load_ok(t, file_named("at-once"));
    save_ok(t, file_named("again"), 1);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, NULL), DD_OK);
    dd_trainer_save_info_get(t, &info);
    assert_true(info.pages_copied > 0);
    set_one(t, 0, 5);
    wait_ok(t);
    assert_same_files(file_named("at-once"), file_named("again"));
    dd_trainer_close(t);
}

/* The save is written at the end where no update comes: step cancelled, closed at once. */
static void close_ends_a_save(void **state)
{
    (void)state;
    const dd_config config = of_pages();
    for (int steps = 0; steps < 2; steps++) {
        dd_trainer *t = open_trainer(&config);
        steps_ok(t, 1);
        uint8_t hash[16];
        dd_trainer_hash(t, hash);
        save_ok(t, file_named("closed"), 1);
        dd_trainer_cancel(t);
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_ERR_CANCELLED);
        steps_ok(t, (uint32_t)steps);
        dd_trainer_close(t);
        t = open_trainer(&config);
        load_ok(t, file_named("closed"));
        assert_weights(t, hash);
        dd_trainer_close(t);
        assert_int_equal(count_files(), 1);
    }
}

static void generations_are_kept(void **state)
{
    (void)state;
    const dd_config config = of_pages();
    dd_trainer *t = open_trainer(&config);
    for (uint32_t i = 1; i <= 6; i++) {
        step_ok(t);
        save_ok(t, file_named("kept"), 3); /* waits for the one before, which a thread may write */
    }
    wait_ok(t);
    assert_int_equal(count_files(), 3);
    const char *names[] = {"kept", "kept.1", "kept.2"};
    for (uint32_t i = 0; i < 3; i++) {
        dd_checkpoint *c;
        dd_checkpoint_info info;
        assert_int_equal(dd_checkpoint_open(file_named(names[i]), &c, NULL), DD_OK);
        dd_checkpoint_info_get(c, &info);
        assert_int_equal(info.step, 6 - i);
        assert_int_equal(info.updates, 6 - i);
        assert_string_equal(info.data, "builtin");
        assert_int_equal(dd_checkpoint_verify(c, NULL), DD_OK);
        dd_checkpoint_close(c);
    }
    dd_trainer_close(t);
}

/* ---- Beside the rest ---- */

/* Saves every step, while spheres come and go, lanes are stolen and pages are guarded. */
static void saves_beside_changes(void **state)
{
    (void)state;
    dd_config config = of_pages();
    config.batch = 30;
    config.horizon = 40;
    uint8_t hash[3][16];
    for (uint32_t i = 0; i < 3; i++)
        oracle_hash(&config, 10 * (i + 1), hash[i]);
    for (uint32_t i = 0; i < 3; i++) {
        config.max_workers = 12;
        config.steal = i == 1;
        config.guard = i == 2;
        config.reduce = i == 2 ? DD_REDUCE_TREE : DD_REDUCE_AUTO;
        dd_trainer *t = open_trainer(&config);
        for (uint32_t n = 0; n < 30; n++) {
            if (n % 10 == 0 && n)
                assert_weights(t, hash[n / 10 - 1]);
            save_ok(t, file_named("beside"), 2);
            if (n % 4 == 1)
                assert_int_equal(dd_trainer_spawn(t, "0", 3, NULL), DD_OK);
            if (n % 4 == 3)
                assert_int_equal(dd_trainer_terminate(t, "0", NULL), DD_OK);
            step_ok(t);
        }
        wait_ok(t);
        dd_trainer_close(t);
        t = open_trainer(&config);
        load_ok(t, file_named("beside"));
        steps_ok(t, 1);
        assert_weights(t, hash[2]);
        load_ok(t, file_named("beside.1"));
        steps_ok(t, 2);
        assert_weights(t, hash[2]);
        dd_trainer_close(t);
    }
}

/* A step that is not finite: who resumes meets it again under abort, and goes on after it under
 * skip-step, as the run did. */
static void a_step_that_is_not_finite(void **state)
{
    (void)state;
    for (int skip = 0; skip < 2; skip++) {
        dd_config config = smallest();
        config.nan_policy = skip ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
        dd_trainer *t = open_trainer(&config);
        steps_ok(t, 2);
        set_one(t, 3, (float)INFINITY);
        dd_step step;
        assert_int_equal(dd_trainer_step(t, &step, NULL), skip ? DD_OK : DD_ERR_NONFINITE);
        save_ok(t, file_named("nan"), 1);
        wait_ok(t);
        dd_trainer_close(t);
        t = open_trainer(&config);
        load_ok(t, file_named("nan"));
        assert_int_equal(dd_trainer_step(t, &step, NULL), skip ? DD_OK : DD_ERR_NONFINITE);
        assert_int_equal(step.step, skip ? 3 : 2);
        set_one(t, 3, 0);
        step_ok(t);
        save_ok(t, file_named("nan"), 1);
        wait_ok(t);
        dd_checkpoint *c;
        dd_checkpoint_info info;
        assert_int_equal(dd_checkpoint_open(file_named("nan"), &c, NULL), DD_OK);
        dd_checkpoint_info_get(c, &info);
        assert_int_equal(info.step, skip ? 5 : 4);
        assert_int_equal(info.updates, 3);
        dd_checkpoint_close(c);
        dd_trainer_close(t);
    }
}

/* ---- What is not to be had ---- */

static void without_a_thread_it_is_written_all_the_same(void **state)
{
    (void)state;
    const dd_config config = of_pages();
    dd_trainer *t = open_trainer(&config);
    dd_save_info info;
    steps_ok(t, 2);
    save_ok(t, file_named("at-once"), 1);
    wait_ok(t);
    save_ok(t, file_named("beside"), 1);
    no_thread = true;
    step_ok(t);
    no_thread = false;
    dd_trainer_save_info_get(t, &info);
    assert_true(!info.under_way && info.n_saved == 2 && info.pages_copied == info.pages);
    assert_same_files(file_named("at-once"), file_named("beside"));
    dd_trainer_close(t);
}

/* Every allocation of a save and of a load fails in turn: said once, and training goes on. The
 * thread that writes is the only one that allocates then. */
static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const dd_config config = smallest();
    const char *path = file_named("memory");
    for (int load = 0; load < 2; load++) {
        int failures = 0;
        for (dd_status st = DD_ERR_MEMORY; st; failures++) {
            dd_trainer *t = open_trainer(&config);
            uint8_t before[16];
            dd_error error = {""};
            dd_trainer_hash(t, before);
            const long live = n_live;
            fail_at = n_allocations + failures;
            st = load ? dd_trainer_load(t, path, &error) : dd_trainer_save(t, path, 1, &error);
            if (!load && !st)
                st = dd_trainer_save_wait(t, &error);
            fail_at = -1;
            if (st) {
                if (st != DD_ERR_MEMORY || !strstr(error.message, "memory"))
                    fail_msg("allocation %d: %s: %s", failures, dd_status_name(st), error.message);
                assert_weights(t, before);
                assert_int_equal(count_files(), load);
                assert_int_equal(dd_trainer_save_wait(t, NULL), DD_OK);
                if (load)
                    assert_int_equal(n_live, live);
            }
            step_ok(t);
            dd_trainer_close(t);
        }
        assert_true(failures > 6);
    }
}

static void an_error_is_told_once(void **state)
{
    (void)state;
    const dd_config config = smallest();
    dd_trainer *t = open_trainer(&config);
    dd_error error = {""};
    dd_save_info info;
    assert_int_equal(dd_trainer_save(t, file_named("no/such"), 1, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "No such file or directory"));
    assert_int_equal(dd_trainer_save_wait(t, NULL), DD_OK);
    assert_int_equal(dd_trainer_save(t, file_named("x"), 0, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_save(t, "", 1, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_save(t, NULL, 1, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_save(NULL, "x", 1, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_load(t, NULL, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_save_wait(NULL, &error), DD_ERR_ARGUMENT);
    for (int by_save = 0; by_save < 2; by_save++) {
        save_ok(t, file_named("x"), 1);
        fail_at = n_allocations;
        step_ok(t);
        while (dd_trainer_save_info_get(t, &info), info.under_way)
            continue;
        fail_at = -1;
        const dd_status st = by_save ? dd_trainer_save(t, file_named("y"), 1, &error)
                                     : dd_trainer_save_wait(t, &error);
        assert_int_equal(st, DD_ERR_MEMORY);
        assert_int_equal(dd_trainer_save_wait(t, &error), DD_OK);
        assert_int_equal(count_files(), 0);
        assert_int_equal(info.n_failed, by_save + 1);
    }
    save_ok(t, file_named("y"), 1);
    wait_ok(t);
    dd_trainer_close(t);
}

static int empty(void **state)
{
    (void)state;
    empty_folder();
    return 0;
}

/* With an argument only the tests that match it: for slow detectors. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(resumes_anywhere_in_any_way, empty),
        cmocka_unit_test_setup(resumes_other_shapes, empty),
        cmocka_unit_test_setup(load_forgets_what_was, empty),
        cmocka_unit_test_setup(a_save_is_of_its_moment, empty),
        cmocka_unit_test_setup(pages_are_copied_as_they_are_written, empty),
        cmocka_unit_test_setup(close_ends_a_save, empty),
        cmocka_unit_test_setup(generations_are_kept, empty),
        cmocka_unit_test_setup(saves_beside_changes, empty),
        cmocka_unit_test_setup(a_step_that_is_not_finite, empty),
        cmocka_unit_test_setup(without_a_thread_it_is_written_all_the_same, empty),
        cmocka_unit_test_setup(every_failed_allocation_is_reported, empty),
        cmocka_unit_test_setup(an_error_is_told_once, empty),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
