/* SPDX-License-Identifier: MIT
 * What a run's parent works with: records that must come back whole and are believed only if whole,
 * the watchdog's arithmetic, and the progress line's clock. */
#include "cell_record.h"
#include "progress.h"
#include "watchdog.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOOD_HASH "0123456789abcdef0123456789abcdef"

/* ---- Watchdog ---- */

static void test_watchdog(void **state)
{
    (void)state;
    dd_watchdog w;
    dd_watchdog_start(&w, 1000, 100, 0);
    for (uint64_t t = 100; t < 1000; t += 100)
        assert_false(dd_watchdog_look(&w, 0, t));
    assert_true(dd_watchdog_look(&w, 0, 1000));
    assert_false(dd_watchdog_look(&w, 1, 1100)); /* it moved after all */
    assert_false(dd_watchdog_look(&w, 1, 2000)); /* we did not look: at most four periods count */
    assert_false(dd_watchdog_look(&w, 1, 100000));
    assert_true(dd_watchdog_look(&w, 1, 200000));
    /* a beat that wraps is progress like any other */
    dd_watchdog_start(&w, 1000, 1000, 0);
    assert_false(dd_watchdog_look(&w, UINT64_MAX, 1000));
    assert_false(dd_watchdog_look(&w, 0, 2000));
    assert_true(dd_watchdog_look(&w, 0, 3000));
}

/* ---- Records ---- */

static void test_records(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"step\":{}}",
        "{\"step\":{\"step\":0,\"loss\":1,\"norm\":\"0x1p+0\",\"lr\":\"0\",\"discarded\":false,"
        "\"wall_ns\":1}}",
        "{\"step\":{\"step\":0,\"loss\":\"0x1p+0 "
        "\",\"norm\":\"1\",\"lr\":\"0\",\"discarded\":false,"
        "\"wall_ns\":1}}",
        "{\"step\":{\"step\":0,\"loss\":\"1\",\"norm\":\"1\",\"lr\":\"0\",\"discarded\":false,"
        "\"wall_ns\":-1}}",
        "{\"refused\":{\"status\":99,\"message\":\"\"}}",
        "{\"end\":{\"status\":0}}",
        "{\"step\":1,\"end\":2}",
    };
    dd_run run = {0};
    char why[128];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (dd_record_read(bad[i], strlen(bad[i]), &run, why) != DD_RECORD_BAD)
            fail_msg("believed: %s", bad[i]);
    dd_step step = {
        .step = 0, .loss = (double)NAN, .norm = (double)INFINITY, .lr = 0x1.8p-20f, .wall_ns = 7};
    char *line = dd_record_step(&step);
    assert_int_equal(dd_record_read(line, strlen(line), &run, why), DD_RECORD_STEP);
    free(line);
    assert_true(isnan(run.steps[0].loss) && isinf(run.steps[0].norm));
    assert_true(run.steps[0].lr == step.lr);
    line = dd_record_refused(DD_ERR_DATA, "bytes:\xff\xfe\"\n");
    assert_int_equal(dd_record_read(line, strlen(line), &run, why), DD_RECORD_REFUSED);
    assert_string_equal(run.end.message, "bytes:??\"\n");
    free(line);
    dd_run_clear(&run);
}

/* A full hierarchy of depth 3: whatever its numbers, its record fits and comes back whole. */
static void test_large_record(void **state)
{
    (void)state;
    dd_run_end end = {.hash = GOOD_HASH, .data_hash = GOOD_HASH, .floor_nats = (double)NAN};
    end.info.n_threads = end.info.n_spheres = DD_RECORD_MAX_THREADS;
    end.info.guard_share = 0.1;
    end.info.packed_weights_bytes = INT64_MAX;
    end.info.reduce = DD_REDUCE_OWNER;
    end.storm = (dd_storm_done){1, 2, 3, 4, 5, 6, 7, 8};
    strcpy(end.guard_why, "no keys");
    end.sphere = calloc(DD_RECORD_MAX_THREADS, sizeof *end.sphere);
    assert_non_null(end.sphere);
    for (uint32_t i = 0; i < DD_RECORD_MAX_THREADS; i++) {
        dd_sphere_info *s = &end.sphere[i];
        *s = (dd_sphere_info){.thread = UINT32_MAX,
                              .tid = UINT32_MAX - i,
                              .control = i % 2,
                              .parked = i % 3,
                              .first_lane = UINT32_MAX,
                              .n_lanes = UINT32_MAX,
                              .segments = UINT32_MAX,
                              .heartbeat = INT64_MAX,
                              .lanes_done = INT64_MAX - i,
                              .lanes_cancelled = INT64_MAX,
                              .lanes_as_control = INT64_MAX,
                              .steals = INT64_MAX,
                              .folds = INT64_MAX,
                              .acted = INT64_MAX,
                              .cpu_ns = INT64_MAX,
                              .wait_ns = {INT64_MAX, 1, 2, INT64_MAX - i}};
        snprintf(s->sphere, sizeof s->sphere, "11.11.%u", i % 12);
    }
    char why[128], *line = dd_record_end(&end);
    dd_run run = {0};
    assert_non_null(line);
    assert_true(strlen(line) <= DD_RECORD_MAX_BYTES);
    if (dd_record_read(line, strlen(line), &run, why) != DD_RECORD_END)
        fail_msg("not believed: %s", why);
    assert_int_equal(run.end.info.n_threads, DD_RECORD_MAX_THREADS);
    assert_true(run.end.info.guard_share == 0.1);
    assert_true(run.end.info.packed_weights_bytes == INT64_MAX);
    assert_int_equal(run.end.info.reduce, DD_REDUCE_OWNER);
    assert_string_equal(run.end.info.guard_why, "no keys");
    assert_memory_equal(&run.end.storm, &end.storm, sizeof end.storm);
    for (uint32_t i = 0; i < DD_RECORD_MAX_THREADS; i++) {
        const dd_sphere_info *a = &end.sphere[i], *b = &run.end.sphere[i];
        assert_string_equal(a->sphere, b->sphere);
        assert_true(a->tid == b->tid && a->control == b->control && a->parked == b->parked &&
                    a->lanes_done == b->lanes_done && a->wait_ns[3] == b->wait_ns[3]);
    }
    dd_run_clear(&run);

    /* more threads than there can be, or than are told of */
    char *count = strstr(line, "\"n_threads\":1885");
    assert_non_null(count);
    memcpy(count, "\"n_threads\":1884", 16);
    assert_int_equal(dd_record_read(line, strlen(line), &run, why), DD_RECORD_BAD);
    memcpy(count, "\"n_threads\":9999", 16);
    assert_int_equal(dd_record_read(line, strlen(line), &run, why), DD_RECORD_BAD);
    memcpy(count, "\"n_threads\":1885", 16);
    dd_run_clear(&run);
    /* a trainer tells what auto became */
    char *reduce = strstr(line, "\"reduce\":3");
    assert_non_null(reduce);
    memcpy(reduce, "\"reduce\":4", 10);
    assert_int_equal(dd_record_read(line, strlen(line), &run, why), DD_RECORD_BAD);
    dd_run_clear(&run);
    free(line);
    free(end.sphere);
}

/* ---- Progress ---- */

static void test_clock(void **state)
{
    (void)state;
    char text[32];
    dd_progress_clock(0.4, text);
    assert_string_equal(text, "0:00");
    dd_progress_clock(125, text);
    assert_string_equal(text, "2:05");
    dd_progress_clock(3723.6, text);
    assert_string_equal(text, "1:02:04");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_large_record),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
