/* SPDX-License-Identifier: MIT
 * The trainer as its users meet it: opening and closing, counters, memory, cancelling, non-finite
 * values and the culprit's name, the floating-point environment, failing allocations, steps that
 * allocate nothing. Changes of membership are in test_elastic.c, commands
 * in test_process.c. */
#define _GNU_SOURCE /* mallinfo2 */
#include "counted_alloc.h"
#include "serial.h"
#include "tokens.h"
#include "trainer_fixture.h"

#include <dirent.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <cmocka.h>

/* ---- What a library loaded in mid-run does to thread 1, at the end of a step ---- */

static unsigned thread_fp_bits; /* set between steps, read by thread 1 before U */

uint64_t __real_dd_thread_cpu_ns(void);
uint64_t __wrap_dd_thread_cpu_ns(void);

uint64_t __wrap_dd_thread_cpu_ns(void)
{
#if defined(__SSE2__)
    char name[16];
    if (!pthread_getname_np(pthread_self(), name, sizeof name) && !strcmp(name, "dd-thread-1"))
        _mm_setcsr(0x1f80 | thread_fp_bits);
#endif
    return __real_dd_thread_cpu_ns();
}

/* ---- Fixtures ---- */

static dd_config tiny(void)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 2, .C = 8, .V = 64, .T_max = 8};
    config.seq = 8;
    config.workers = 3;
    return config;
}

static int count_entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* A joined thread may stand in the process's list for a moment longer. */
static void assert_threads(int want)
{
    for (int i = 0; i < 1000 && count_entries("/proc/self/task") != want; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(count_entries("/proc/self/task"), want);
}

/* ---- Tests ---- */

static void open_and_close_leave_nothing(void **state)
{
    (void)state;
    const char *cycles = getenv("DD_TEST_CYCLES"); /* fewer under valgrind */
    int n = cycles ? atoi(cycles) : 1000;
    dd_config config = tiny();
    dd_trainer_close(open_trainer(&config)); /* sanitizers start a thread with the first one */
    long live = n_live;
    int threads = count_entries("/proc/self/task"), fds = count_entries("/proc/self/fd");
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        config.workers = 1 + (uint32_t)i % 12;
        config.barrier = i % 2 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
        dd_trainer *t = open_trainer(&config);
        if (i % 3)
            step_ok(t);
        dd_trainer_close(t);
        if (i == n / 2)
            used = mallinfo2().uordblks;
    }
    assert_int_equal(n_live, live);
    assert_threads(threads);
    assert_int_equal(count_entries("/proc/self/fd"), fds);
    if (n >= 1000) /* before, the C library's own caches still fill */
        assert_true(mallinfo2().uordblks <= used + 4096);
    dd_trainer_close(NULL);
}

/* A trainer with everything in it that allocates. */
static dd_config laden(void)
{
    dd_config config = tiny();
    config.depth = 2;
    config.reduce = DD_REDUCE_SLICED;
    config.steal = config.pin = config.guard = true;
    return config;
}

/* What laden() has without guard, in the reduction that has none. */
static dd_config laden_owner(void)
{
    dd_config config = laden();
    config.reduce = DD_REDUCE_OWNER;
    config.guard = false;
    return config;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const dd_config configs[] = {tiny(), laden(), laden_owner()};
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        long live = n_live;
        int threads = count_entries("/proc/self/task"), failures = 0;
        for (dd_status st = DD_ERR_MEMORY; st;) {
            dd_error error = {""};
            dd_trainer *t;
            fail_at = n_allocations + failures;
            st = dd_trainer_open(&configs[c], data, &t, &error);
            fail_at = -1;
            if (st) {
                assert_int_equal(st, DD_ERR_MEMORY);
                assert_null(t);
                assert_non_null(strstr(error.message, "memory"));
                failures++;
            } else {
                step_ok(t);
                dd_trainer_close(t);
            }
            assert_int_equal(n_live, live);
            assert_threads(threads);
        }
        assert_true(failures > 40);
    }
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    const dd_config configs[] = {tiny(), laden(), laden_owner()};
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        double loss;
        dd_trainer *t = open_trainer(&configs[c]);
        step_ok(t);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
        long before = n_allocations;
        size_t used = mallinfo2().uordblks;
        for (int i = 0; i < 20; i++)
            step_ok(t);
        assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK);
        assert_int_equal(n_allocations, before);
        assert_int_equal(mallinfo2().uordblks, used);
        dd_trainer_close(t);
    }
}

/* Gradient memory, counted in bytes: at most 3D + 1 segments for each worker, and never more than
 * a segment a lane. */
static void segments_stay_within_their_bound(void **state)
{
    (void)state;
    static const struct {
        uint32_t lane_depth, batch, workers, depth;
    } runs[] = {
        {1, 12, 1, 1},   {1, 12, 2, 1},   {1, 12, 5, 2},   {1, 12, 12, 1},    {1, 30, 7, 3},
        {2, 144, 1, 1},  {2, 144, 5, 2},  {2, 100, 12, 1}, {2, 200, 50, 2},   {2, 144, 144, 2},
        {3, 1728, 1, 1}, {3, 1728, 7, 1}, {3, 900, 30, 2}, {3, 1728, 150, 3},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int steal = 0; steal < 2; steal++) {
            dd_config config = tiny();
            config.shape = (dd_shape){.L = 1, .NH = 1, .C = 4, .V = 64, .T_max = 4};
            config.seq = 4;
            config.lane_depth = runs[i].lane_depth;
            config.batch = runs[i].batch;
            config.workers = runs[i].workers;
            config.depth = runs[i].depth;
            config.steal = steal;
            config.reduce = DD_REDUCE_TREE;
            dd_trainer_info info;
            dd_trainer *t = open_trainer(&config);
            dd_trainer_info_get(t, &info);
            const uint64_t bound = 3 * config.lane_depth + 1;
            /* a segment: the vector, a row for each token there can be, their two indices */
            const uint64_t rows = config.batch * 4 < 64 ? config.batch * 4 : 64;
            const uint64_t segment = info.n_parameters * 4 + rows * (4 * 4 + 4) + 64 * 4;
            assert_true(info.most_segments >= 1 && info.most_segments <= bound);
            assert_true(info.segments_bytes >= info.n_segments * segment);
            assert_true(info.segments_bytes <= bound * config.workers * (segment + 128));
            if (!steal)
                assert_true(info.segments_bytes <= info.non_empty_lanes * (segment + 128));
            dd_trainer_close(t);
        }
}

static void counters_tell_what_happened(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 12; workers++)
        for (uint32_t batch = workers; batch <= 25; batch += 4) {
            dd_config config = tiny();
            config.batch = batch;
            config.workers = workers;
            config.reduce = (dd_reduce)(batch % 4); /* owner is the last */
            config.steal = batch % 2;
            config.depth = 1 + (workers + batch) % 3;
            dd_trainer *t = open_trainer(&config);
            uint64_t heartbeat = dd_trainer_heartbeat(t);
            for (int i = 0; i < 3; i++)
                step_ok(t);
            dd_trainer_info info;
            dd_trainer_info_get(t, &info);
            uint64_t lanes = 0, placed = 0, folds = 0, acted = 0;
            uint32_t controls = 0, most_segments = 0;
            dd_sphere_info sphere;
            for (uint32_t i = 0; dd_trainer_sphere_get(t, i, true, &sphere); i++) {
                assert_int_equal(sphere.thread, i);
                assert_true(sphere.tid > 0 && sphere.heartbeat > 0 && !sphere.parked);
                assert_true(!sphere.control || (!sphere.n_lanes && !sphere.lanes_done));
                assert_true(config.steal || sphere.lanes_done == 3 * sphere.n_lanes);
                assert_true(sphere.segments <= 4);
                assert_true(i > 0 || (sphere.control && !strcmp(sphere.sphere, "zero")));
                controls += sphere.control;
                placed += sphere.n_lanes;
                lanes += sphere.lanes_done;
                folds += sphere.folds;
                acted += sphere.acted;
                if (sphere.segments > most_segments)
                    most_segments = sphere.segments;
            }
            assert_int_equal(info.workers, workers);
            assert_int_equal(info.non_empty_lanes, batch < 12 ? batch : 12);
            assert_int_equal(placed, info.non_empty_lanes);
            assert_int_equal(lanes, 3 * info.non_empty_lanes);
            assert_int_equal(lanes, info.lanes_done);
            assert_int_equal(folds, 3 * (info.non_empty_lanes - 1));
            assert_int_equal(folds, info.folds);
            assert_true(config.reduce == DD_REDUCE_CONTROL ? !acted : acted >= 6); /* B and U */
            assert_int_equal(info.depth, config.depth);
            assert_int_equal(info.n_controls, controls);
            assert_int_equal(info.n_spheres, workers + controls);
            assert_int_equal(info.n_threads, info.n_spheres);
            assert_int_equal(info.n_changes, 0);
            assert_int_equal(info.control_lanes, 0);
            assert_int_equal(info.lanes_cancelled, 0);
            assert_int_equal(info.most_segments, most_segments);
            assert_true(info.n_segments >= most_segments && info.n_segments <= 4 * workers);
            assert_int_equal(info.requests, 3);
            assert_true(info.lane_bound >= 1 && info.lane_bound <= workers);
            assert_true(dd_trainer_heartbeat(t) > heartbeat);
            dd_trainer_close(t);
        }
}

/* Finds a token that stands at position p of the next step's batch in exactly one lane, `lane`. */
static bool lonely_token(const dd_config *c, uint64_t step, uint32_t lane, uint16_t *token,
                         uint32_t *p)
{
    uint64_t n, first[12];
    const uint16_t *tokens = dd_data_tokens(data, &n);
    dd_data_split split;
    assert_int_equal(dd_data_split_get(data, c->seq, c->batch, &split, NULL), DD_OK);
    assert_true(c->batch == 12);
    dd_batch_train(&split, c->seed, c->seq, c->batch, step, first);
    for (*p = 0; *p < c->seq; (*p)++) {
        *token = tokens[first[lane] + *p];
        uint32_t seen = 0;
        for (uint32_t b = 0; b < 12; b++)
            seen += tokens[first[b] + *p] == *token;
        if (seen == 1)
            return true;
    }
    return false;
}

/* Weights under which one lane alone overflows: channel 0 of token v and of position p is huge,
 * their sum is infinite, and the final LayerNorm hides the channel from every other row. */
static void poison(const dd_config *c, float *w, uint64_t n, uint16_t token, uint32_t p)
{
    const dd_shape *s = &c->shape;
    w[(size_t)token * s->C] = 3e38f;
    w[((size_t)s->V + p) * s->C] = 3e38f;
    w[n - 2 * s->C] = 0; /* lnfw[0] */
    w[n - s->C] = 0;     /* lnfb[0] */
}

static void culprit_is_named_and_nothing_changes(void **state)
{
    (void)state;
    for (uint32_t lane = 0; lane < 12; lane += 3)
        for (int policy = 0; policy < 2; policy++)
            for (uint32_t workers = 1; workers <= 12; workers += 4) {
                dd_config config = tiny();
                config.workers = workers;
                config.nan_policy = policy ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
                config.reduce = (dd_reduce)((lane / 3 + workers / 4) % 4); /* owner is the last */
                config.steal = policy;
                config.guard = policy && config.reduce != DD_REDUCE_OWNER;
                config.lane_depth = 1 + (lane / 3 + (uint32_t)policy) % 2;
                /* a sequence each; at lane depth 2 in the last lane of twelve */
                const uint32_t holds = config.lane_depth == 1 ? lane : 12 * lane + 11;
                dd_trainer *t = open_trainer(&config);
                dd_serial *oracle;
                assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);
                uint64_t n, step = 2;
                uint16_t token = 0;
                uint32_t p = 0;
                for (uint64_t i = 0; i < step; i++) {
                    step_ok(t);
                    assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
                }
                const float *w = dd_trainer_weights(t, &n);
                float *o = dd_serial_weights(oracle, NULL);
                float *saved = malloc(n * sizeof *saved), *poisoned = malloc(n * sizeof *saved);
                memcpy(saved, w, n * sizeof *w);
                assert_true(lonely_token(&config, step, lane, &token, &p));
                memcpy(poisoned, w, n * sizeof *w);
                poison(&config, poisoned, n, token, p);
                set_all(t, poisoned);
                memcpy(o, w, n * sizeof *w);

                dd_step report;
                dd_error error = {""};
                dd_status st = dd_trainer_step(t, &report, &error);
                dd_status want = policy ? DD_OK : DD_ERR_NONFINITE;
                assert_int_equal(st, want);
                assert_int_equal(dd_serial_step(oracle, NULL, NULL), want);
                assert_true(report.discarded);
                assert_int_equal(report.culprit.lane, holds);
                assert_true(report.culprit.worker < workers);
                dd_sphere_info owner; /* depth 1: worker w has thread w + 1 */
                assert_true(dd_trainer_sphere_get(t, report.culprit.worker + 1, true, &owner));
                const uint32_t next = holds - owner.first_lane;
                const bool its_own =
                    owner.first_lane <= holds &&
                    (config.lane_depth == 1 ? next < owner.n_lanes : next / 12 < owner.n_lanes);
                assert_true(config.steal || its_own);
                assert_string_equal(report.culprit.tensor, "wte");
                assert_int_equal(report.culprit.index, 0);
                char named[32];
                snprintf(named, sizeof named, "lane %u (worker %u)", holds, report.culprit.worker);
                assert_non_null(strstr(error.message, named));
                assert_memory_equal(w, poisoned, n * sizeof *w);

                /* moments and Adam's t were left alone too: training goes on as the oracle's does
                 */
                set_all(t, saved);
                memcpy(o, saved, n * sizeof *w);
                for (int i = 0; i < 3; i++) {
                    step_ok(t);
                    assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
                }
                assert_memory_equal(w, o, n * sizeof *w);
                free(saved);
                free(poisoned);
                dd_serial_close(oracle);
                dd_trainer_close(t);
            }
}

static void *cancel_soon(void *trainer)
{
    dd_trainer_cancel(trainer);
    return NULL;
}

/* A cancelled step is as if it had not been asked for: a run that goes on ends in the same bits,
 * whether the cancel came before a step, in its middle or too late for it. */
static void cancelled_steps_leave_no_trace(void **state)
{
    (void)state;
    enum { N = 40 };
    const dd_config configs[] = {tiny(), laden()};
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        uint8_t want[16], got[16];
        dd_trainer *t = open_trainer(&configs[c]);
        for (int i = 0; i < N; i++)
            step_ok(t);
        dd_trainer_hash(t, want);
        dd_trainer_close(t);

        t = open_trainer(&configs[c]);
        dd_trainer_cancel(t); /* before any step: the next one is cancelled */
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_ERR_CANCELLED);
        int cancelled = 0, asked = 0;
        for (int done = 0; done < N;) {
            pthread_t thread;
            bool ask = asked < 4 * N;
            asked += ask;
            if (ask)
                assert_int_equal(pthread_create(&thread, NULL, cancel_soon, t), 0);
            dd_status st = dd_trainer_step(t, NULL, NULL);
            if (ask)
                pthread_join(thread, NULL);
            assert_true(st == DD_OK || st == DD_ERR_CANCELLED);
            cancelled += st == DD_ERR_CANCELLED;
            done += st == DD_OK;
        }
        dd_trainer_hash(t, got);
        assert_memory_equal(got, want, sizeof want);
        dd_trainer_close(t);
        print_message("%d of %d cancels took effect\n", cancelled + 1, asked + 1);
    }
}

static void changed_floating_point_environment_is_named(void **state)
{
    (void)state;
#if defined(__SSE2__)
    const unsigned changes[] = {0x8000, 0x0040, 0x6000}; /* flush to zero, denormals are zero,
                                                            towards zero */
    dd_config config = tiny();
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t before[16], after[16];
        dd_error error = {""};
        double loss;
        dd_trainer *t = open_trainer(&config), *none;
        dd_serial *oracle, *no_oracle;
        assert_int_equal(dd_serial_open(&config, data, &oracle, NULL), DD_OK);

        /* a thread's, in mid-run */
        thread_fp_bits = changes[i];
        step_ok(t); /* changed at its end */
        dd_trainer_hash(t, before);
        thread_fp_bits = 0;
        assert_int_equal(dd_trainer_step(t, NULL, &error), DD_ERR_FP_ENV);
        assert_non_null(strstr(error.message, "thread 1 (sphere 0)"));
        assert_non_null(strstr(error.message, "of step 1"));
        dd_trainer_hash(t, after);
        assert_memory_equal(before, after, sizeof before);
        step_ok(t);

        /* the caller's */
        const unsigned saved = _mm_getcsr();
        _mm_setcsr(saved | changes[i]);
        dd_status opened = dd_trainer_open(&config, data, &none, &error);
        dd_status serial_opened = dd_serial_open(&config, data, &no_oracle, NULL);
        dd_status serial_stepped = dd_serial_step(oracle, NULL, NULL);
        dd_status validated = dd_trainer_validate(t, 1, &loss, NULL);
        _mm_setcsr(saved);
        assert_int_equal(opened, DD_ERR_FP_ENV);
        assert_non_null(strstr(error.message, "calling thread"));
        assert_int_equal(serial_opened, DD_ERR_FP_ENV);
        assert_int_equal(serial_stepped, DD_ERR_FP_ENV);
        assert_int_equal(validated, DD_ERR_FP_ENV);

        /* nothing has left a trace */
        for (int n = 0; n < 2; n++)
            assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
        dd_trainer_hash(t, after);
        dd_serial_hash(oracle, before);
        assert_memory_equal(before, after, sizeof before);
        dd_serial_close(oracle);
        dd_trainer_close(t);
    }
#else
    print_message("SKIP (optional): this processor's control register is not known here\n");
    skip();
#endif
}

static void trainers_do_not_disturb_each_other(void **state)
{
    (void)state;
    dd_config one = tiny(), two = tiny();
    two.seed = 99;
    two.workers = 5;
    uint8_t alone[16], beside[16];
    dd_trainer *a = open_trainer(&one);
    for (int i = 0; i < 10; i++)
        step_ok(a);
    dd_trainer_hash(a, alone);
    dd_trainer_close(a);
    a = open_trainer(&one);
    dd_trainer *b = open_trainer(&two);
    for (int i = 0; i < 10; i++) {
        step_ok(b);
        step_ok(a);
    }
    dd_trainer_hash(a, beside);
    assert_memory_equal(alone, beside, sizeof alone);
    dd_trainer_close(a);
    dd_trainer_close(b);
}

static void validation_leaves_training_alone(void **state)
{
    (void)state;
    dd_config config = tiny();
    uint8_t want[16], got[16];
    double first, again;
    dd_trainer *t = open_trainer(&config);
    for (int i = 0; i < 6; i++)
        step_ok(t);
    dd_trainer_hash(t, want);
    dd_trainer_close(t);
    t = open_trainer(&config);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(dd_trainer_validate(t, 3, &first, NULL), DD_OK);
        assert_int_equal(dd_trainer_validate(t, 3, &again, NULL), DD_OK);
        assert_true(first == again && first > 0);
        step_ok(t);
    }
    dd_trainer_hash(t, got);
    assert_memory_equal(got, want, sizeof want);
    dd_trainer_close(t);
}

static void misuse_is_refused(void **state)
{
    (void)state;
    dd_config config = tiny();
    dd_data_split split;
    double loss = 7;
    dd_trainer *t = open_trainer(&config), *none;
    assert_int_equal(dd_trainer_open(NULL, data, &none, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_open(&config, NULL, &none, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_open(&config, data, NULL, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_step(NULL, NULL, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_validate(NULL, 1, &loss, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_validate(t, 1, NULL, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_validate(t, 0, &loss, NULL), DD_ERR_DATA);
    assert_true(loss == 7);
    assert_int_equal(dd_data_split_get(NULL, 8, 12, &split, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_data_split_get(data, 8, 12, NULL, NULL), DD_ERR_ARGUMENT);
    dd_error error;
    assert_int_equal(dd_trainer_command(NULL, DD_COMMAND_PAUSE, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_command(t, DD_COMMANDS, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_SPAWN, &error), DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "dd_trainer_spawn"));
    assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, &error), DD_ERR_REFUSED);
    assert_non_null(strstr(error.message, "nothing was kept"));
    assert_int_equal(dd_trainer_spawn(NULL, "0", 1, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_spawn(t, NULL, 1, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_spawn(t, "12", 1, &error), DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "\"12\" is no sphere"));
    assert_int_equal(dd_trainer_spawn(t, "0", 0, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_spawn(t, "0", 13, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_spawn(t, "0.0.0", 1, NULL), DD_ERR_REFUSED);
    assert_int_equal(dd_trainer_spawn(t, "1", 1, NULL), DD_ERR_REFUSED); /* 0, 4 and 8 exist */
    assert_int_equal(dd_trainer_spawn(t, "0", 2, NULL), DD_ERR_REFUSED); /* room for 3 workers */
    assert_int_equal(dd_trainer_terminate(t, "0", NULL), DD_ERR_REFUSED);
    assert_int_equal(dd_trainer_terminate(t, "zero", NULL), DD_ERR_REFUSED);
    dd_trainer_cancel(NULL);
    dd_trainer_cancel(t);
    dd_trainer_cancel(t);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_ERR_CANCELLED); /* one answers both */
    step_ok(t);
    dd_trainer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_and_close_leave_nothing),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(segments_stay_within_their_bound),
        cmocka_unit_test(counters_tell_what_happened),
        cmocka_unit_test(culprit_is_named_and_nothing_changes),
        cmocka_unit_test(cancelled_steps_leave_no_trace),
        cmocka_unit_test(changed_floating_point_environment_is_named),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(trainers_do_not_disturb_each_other),
        cmocka_unit_test(validation_leaves_training_alone),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
